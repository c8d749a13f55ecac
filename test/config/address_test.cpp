#include "config/address.hpp"

#include <doctest/doctest.h>

#include "shown.hpp"

using namespace liveswap::config;

TEST_CASE("addresses of listeners") {
  struct Row {
    const char* text;
    const char* host;
    int port;
  };
  for (const auto& [text, host, port] : {Row{"127.0.0.1:80", "127.0.0.1", 80},
                                         {"*:8080", "", 8080},
                                         {"0.0.0.0:0", "0.0.0.0", 0},
                                         {"[::1]:443", "::1", 443},
                                         {"[::]:65535", "::", 65535},
                                         {"[fe80::1%eth0]:1", "fe80::1%eth0", 1},
                                         {"localhost:3000", "localhost", 3000},
                                         {"a-b.example_1.org:1", "a-b.example_1.org", 1}}) {
    CAPTURE(text);
    const auto address = parse_address(text);
    REQUIRE(address);
    CHECK(address->kind == Address::Kind::tcp);
    CHECK(address->host == host);
    CHECK(address->port == port);
  }
}

TEST_CASE("addresses of Unix sockets") {
  CHECK(parse_address("unix:/run/a.sock")->kind == Address::Kind::unix_path);
  CHECK(parse_address("unix:/run/a:b=c.sock")->path == "/run/a:b=c.sock");
  CHECK(parse_address("unix:a.sock")->path == "a.sock");
  CHECK(parse_address("unix:/" + std::string(106, 'x')));
  CHECK(error_of(parse_address("unix:/" + std::string(107, 'x'))).find("found a path of 108 bytes") == 0);
  for (const char* text : {"unix:", "unix:@abstract", "unix:/run/"}) {
    CAPTURE(text);
    CHECK(error_of(parse_address(text)).find("expected the path of a socket behind unix:") !=
          std::string::npos);
  }
  CHECK_FALSE(parse_address(std::string("unix:/a\0b", 9)));
}

TEST_CASE("what is no address says what was found and expected") {
  struct Row {
    const char* text;
    const char* error;
  };
  for (const auto& [text, error] :
       {Row{"", "found \"\", expected host:port, [::1]:port, *:port or unix:/path"},
        {"80", "found \"80\", expected host:port, [::1]:port, *:port or unix:/path"},
        {"[::1]", "found \"[::1]\", expected host:port, [::1]:port, *:port or unix:/path"},
        {"::1:80", "found \"::1:80\", expected brackets around an IPv6 address: [::1]:80"},
        {"[1.2.3.4]:80", "found \"1.2.3.4\" in \"[1.2.3.4]:80\", expected an IPv6 address in the brackets"},
        {":80", "found the host \"\" in \":80\", expected an address, a name or *"},
        {"1.2.3:80", "found the host \"1.2.3\" in \"1.2.3:80\", expected an address, a name or *"},
        {"256.0.0.1:80",
         "found the host \"256.0.0.1\" in \"256.0.0.1:80\", expected an address, a name or *"},
        {"-a:80", "found the host \"-a\" in \"-a:80\", expected an address, a name or *"},
        {"a b:80", "found the host \"a b\" in \"a b:80\", expected an address, a name or *"},
        {"a:", "found the port \"\" in \"a:\", expected a number from 0 to 65535"},
        {"a:65536", "found the port \"65536\" in \"a:65536\", expected a number from 0 to 65535"},
        {"a:-1", "found the port \"-1\" in \"a:-1\", expected a number from 0 to 65535"},
        {"a:80 ", "found the port \"80 \" in \"a:80 \", expected a number from 0 to 65535"},
        {"a:http", "found the port \"http\" in \"a:http\", expected a number from 0 to 65535"}})
    CHECK(error_of(parse_address(text)) == error);
  CHECK_FALSE(parse_address(std::string("[::1\0]:80", 9)));
}

TEST_CASE("loopback is a number") {
  for (const char* host : {"127.0.0.1", "127.255.0.9", "::1"}) CHECK(is_loopback(host));
  for (const char* host : {"128.0.0.1", "0.0.0.0", "::", "::2", "localhost", "127.1", "", "127.0.0.1 "}) {
    CAPTURE(host);
    CHECK_FALSE(is_loopback(host));
  }
}
