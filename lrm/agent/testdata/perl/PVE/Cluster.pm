package PVE::Cluster;
use PVE::Recorder;
sub cfs_update { PVE::Recorder::line('cfs_update') }
1;
