package PVE::Notify;

# Stands in for the real module in tests: it writes down what it is called
# with, or fails as NOTIFY_TEST says.

use strict;
use warnings;

use Data::Dumper;

sub common_template_data {
    die "cluster was not asked\n" if !$PVE::Cluster::updated;
    return {
        hostname => 'node1', fqdn => 'node1.example.com', 'cluster-name' => 'lab',
        'failed-node' => 'must not replace what is given',
    };
}

sub notify {
    my ($severity, $template, $data, $fields) = @_;

    my $mode = $ENV{NOTIFY_TEST} // '';
    die "target 'mail' failed:\nconnection refused\n" if $mode eq 'fail';
    if ($mode eq 'hang') {
        system('sleep 612345'); # a child of its own, which must go as well
    }
    local $Data::Dumper::Sortkeys = 1;
    local $Data::Dumper::Indent = 1;
    local $Data::Dumper::Terse = 1;
    open(my $out, '>>', $ENV{NOTIFY_OUT}) or die "$!\n";
    print $out "$severity $template\n", Dumper($data), Dumper($fields);
    close($out) or die "$!\n";
}

1;
