# A client as the Perl daemons are: connect, a zero byte each round, and the
# magic byte before the end. Usage: client.pl ROUNDS SECONDS; with a third
# argument it goes silent after the rounds.
use strict;
use warnings;

use IO::Socket::UNIX;
use Socket qw(SOCK_STREAM);

my ($rounds, $seconds, $silent) = @ARGV;

my $socket = IO::Socket::UNIX->new(Type => SOCK_STREAM(), Peer => "/run/watchdog-mux.sock")
    or die "cannot connect: $!\n";
for (1 .. $rounds) {
    my $written = $socket->syswrite("\0", 1);
    defined($written) && $written == 1 or die "cannot update: $!\n";
    sleep($seconds);
}
sleep(3600) if $silent;
$socket->syswrite("V", 1);
$socket->close() or die "cannot close: $!\n";
print "perl closed its watchdog\n";
