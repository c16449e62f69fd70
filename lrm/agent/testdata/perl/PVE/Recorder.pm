package PVE::Recorder;

# Stands in for the parts of Proxmox VE that guest-action calls: writes down
# each call, and runs tasks that do what the environment says:
#
#     RECORD        file that takes the calls, a line each
#     REFUSE        the API dies with this text
#     WARN          the API warns with this text
#     CHATTER       the API prints this text
#     TASK_FIFO     the task ends when somebody has opened this for writing
#     TASK_PID      file that takes the number of the task's process
#     HANG          the API never answers; the file it names then exists
#     STUBBORN      and SIGTERM does not end it
#     DIE_WITH_TASK the program is killed as soon as its task runs

use strict;
use warnings;

sub line {
    my ($text) = @_;
    open(my $fh, '>>', $ENV{RECORD}) or die "$ENV{RECORD}: $!\n";
    print {$fh} "$text\n";
    close($fh);
}

sub call {
    my ($what, $param) = @_;
    line(join(' ', $what, map { "$_=$param->{$_}" } sort keys %$param));
}

sub start_time {
    my ($pid) = @_;
    open(my $fh, '<', "/proc/$pid/stat") or return 0;
    my $stat = <$fh> // '';
    $stat =~ s/^.*\) //;
    return (split(/ /, $stat))[19];
}

# A method of the API that starts a task.
sub api_method {
    my ($what, $param) = @_;
    call($what, $param);
    print "$ENV{CHATTER}\n" if $ENV{CHATTER};
    warn "$ENV{WARN}\n" if $ENV{WARN};
    die "$ENV{REFUSE}\n" if $ENV{REFUSE};
    if ($ENV{HANG}) {
        $SIG{TERM} = 'IGNORE' if $ENV{STUBBORN};
        open(my $fh, '>', $ENV{HANG}) or die;
        close($fh);
        sleep(1) while 1;
    }
    my $pid = fork() // die "fork: $!\n";
    if (!$pid) {
        require POSIX;
        POSIX::setsid();
        if ($ENV{TASK_FIFO}) {
            open(my $fifo, '<', $ENV{TASK_FIFO}) or die "$ENV{TASK_FIFO}: $!\n";
        }
        line('task over');
        POSIX::_exit(0);
    }
    if ($ENV{TASK_PID}) {
        open(my $fh, '>', "$ENV{TASK_PID}.new") or die;
        print {$fh} "$pid\n";
        close($fh);
        rename("$ENV{TASK_PID}.new", $ENV{TASK_PID}) or die;
    }
    return sprintf('UPID:%s:%08X:%08X:%08X:%s:%s:root@pam:', $param->{node}, $pid, start_time($pid) || 1, time(), 'test', $param->{vmid});
}

1;
