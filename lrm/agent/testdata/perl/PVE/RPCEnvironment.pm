package PVE::RPCEnvironment;
use PVE::Recorder;

sub init {
    my ($class, $type) = @_;
    $SIG{CHLD} = sub { local ($!, $?); 1 while waitpid(-1, 1) > 0 };
    PVE::Recorder::line("environment $type");
    return bless {}, $class;
}
sub init_request { PVE::Recorder::line('init_request') }
sub set_language { PVE::Recorder::line('set_language ' . ($_[1] // '')) }
sub set_user { PVE::Recorder::line("set_user $_[1]") }
1;
