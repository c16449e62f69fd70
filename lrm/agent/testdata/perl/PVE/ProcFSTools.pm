package PVE::ProcFSTools;
use PVE::Recorder;

sub upid_wait {
    my ($upid, $news, $interval) = @_;
    PVE::Recorder::line("upid_wait every $interval");
    my (undef, $node, $pid, $start, $time, $type, $id, $user) = split(/:/, $upid);
    ($pid, $start) = (hex($pid), hex($start));
    kill('KILL', $$) if $ENV{DIE_WITH_TASK};
    $news->({ upid => $upid });
    select(undef, undef, undef, 0.01) while PVE::Recorder::start_time($pid) == $start;
}
1;
