package PVE::Cluster;

# Stands in for the real module in tests.

use strict;
use warnings;

our $updated = 0;

sub cfs_update { $updated++; }

1;
