# An ordinary server of Perl: one process, select, kept connections. VERSION is replaced by the test.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ARGV[0], Listen => 128, ReuseAddr => 1)
    or die "cannot listen: $!";
my $waiting = IO::Select->new($listener);
my %request;
while (1) {
    for my $one ($waiting->can_read) {
        if ($one == $listener) {
            my $client = $listener->accept or next;
            $waiting->add($client);
            $request{$client} = '';
        } elsif (!sysread($one, $request{$one}, 4096, length $request{$one})) {
            $waiting->remove($one);
            delete $request{$one};
            close $one;
        } else {
            while ($request{$one} =~ s/\A.*?\r\n\r\n//s) {
                syswrite($one, "HTTP/1.1 200 OK\r\nContent-Length: " . length('VERSION') . "\r\n\r\nVERSION");
            }
        }
    }
}
