package PVE::API2::LXC::Status;
use PVE::Recorder;
sub vm_start { PVE::Recorder::api_method('LXC::Status vm_start', $_[1]) }
sub vm_shutdown { PVE::Recorder::api_method('LXC::Status vm_shutdown', $_[1]) }
sub vm_stop { PVE::Recorder::api_method('LXC::Status vm_stop', $_[1]) }
1;
