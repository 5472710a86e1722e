# Words of a text: hashes, regular expressions, sorting: loops.pl COUNT TEXT
use strict;
use warnings;

my ($count, $file) = @ARGV;
open my $input, '<', $file or die "$file: $!\n";
my %seen;
my $numbers = 0;
while (my $line = <$input>) {
    last if $count-- <= 0;
    $line =~ tr/A-Z/a-z/;
    $seen{$1}++ while $line =~ /([a-z_]{3,})/g;
    $numbers += length $1 while $line =~ /\b0x([0-9a-f]+)\b/g;
    (my $other = $line) =~ s/\s+/ /g;
    $numbers ^= length $other;
}
my @most = sort { $seen{$b} <=> $seen{$a} || $a cmp $b } keys %seen;
print "$numbers ", scalar @most, "\n";
print "$_ $seen{$_}\n" for grep { defined } @most[0 .. 99];
