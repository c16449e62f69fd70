package PVE::API2::LXC;
use PVE::Recorder;
sub migrate_vm { PVE::Recorder::api_method('LXC migrate_vm', $_[1]) }
1;
