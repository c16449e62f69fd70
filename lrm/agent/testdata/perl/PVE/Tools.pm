package PVE::Tools;
sub upid_encode { $_[0]->{upid} }
sub upid_read_status { $ENV{STATUS} // 'OK' }
1;
