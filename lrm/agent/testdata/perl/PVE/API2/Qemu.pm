package PVE::API2::Qemu;
use PVE::Recorder;
sub vm_start { PVE::Recorder::api_method('Qemu vm_start', $_[1]) }
sub vm_shutdown { PVE::Recorder::api_method('Qemu vm_shutdown', $_[1]) }
sub vm_stop { PVE::Recorder::api_method('Qemu vm_stop', $_[1]) }
sub migrate_vm { PVE::Recorder::api_method('Qemu migrate_vm', $_[1]) }
1;
