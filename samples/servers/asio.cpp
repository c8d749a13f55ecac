// An ordinary HTTP server on Boost.Asio. Contains no code for liveswap.
//
//     c++ -pthread -o server asio.cpp && ./server 8080                          # as a program
//     c++ -pthread -shared -fPIC -o libserver.so asio.cpp                       # as a library
//     liveswap start ./libserver.so --entry main -- 8080
//     c++ -pthread -shared -fPIC -DVERSION=2 -o libserver_v2.so asio.cpp
//     liveswap upgrade ./libserver_v2.so                                        # curl http://127.0.0.1:8080/
#include <utility>  // before Boost 1.74, which forgets it where there are coroutines (C++20)

#include <boost/algorithm/string/predicate.hpp>
#include <boost/asio.hpp>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>

#ifndef VERSION
#define VERSION 1
#endif

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  explicit Connection(tcp::socket socket) : socket_(std::move(socket)) {}

  // Reads a request without a body. The connection ends at end of file, or after 8 KiB without an empty line.
  void read() {
    asio::async_read_until(socket_, asio::dynamic_buffer(request_, 8192), "\r\n\r\n",
                           [self = shared_from_this()](error_code error, std::size_t size) {
                             if (!error) self->answer(size);
                           });
  }

 private:
  void answer(std::size_t size) {
    const bool last = boost::algorithm::icontains(request_.substr(0, size), "\nConnection: close");
    request_.erase(0, size);  // a client may send requests ahead
    const std::string body = "Hello from version " + std::to_string(VERSION) + ", Boost.Asio\n";
    answer_ =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(body.size()) +
        (last ? "\r\nConnection: close" : "") + "\r\n\r\n" + body;
    asio::async_write(socket_, asio::buffer(answer_),
                      [self = shared_from_this(), last](error_code error, std::size_t) {
                        if (!error && !last) self->read();
                      });
  }

  tcp::socket socket_;
  std::string request_;
  std::string answer_;
};

void accept_next(tcp::acceptor& acceptor) {
  acceptor.async_accept([&acceptor](error_code error, tcp::socket socket) {
    if (!error) std::make_shared<Connection>(std::move(socket))->read();
    accept_next(acceptor);
  });
}

int main(int argc, char** argv) try {
  const auto port = static_cast<unsigned short>(argc > 1 ? std::atoi(argv[1]) : 8080);
  asio::io_context context;
  tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), port});
  accept_next(acceptor);
  context.run();
} catch (const std::exception& error) {
  std::cerr << "server: " << error.what() << '\n';
  return 1;
}
