package PVE::INotify;
use PVE::Recorder;
sub inotify_init { PVE::Recorder::line('inotify_init') }
1;
