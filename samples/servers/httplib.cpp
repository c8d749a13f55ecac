// An ordinary HTTP server on cpp-httplib (blocking sockets, a pool of threads). Contains no code for
// liveswap.
//
//     flags='-pthread '$(pkg-config --cflags --libs cpp-httplib)
//     c++ -o server httplib.cpp $flags && ./server 8080                         # as a program
//     c++ -shared -fPIC -o libserver.so httplib.cpp $flags                      # as a library
//     liveswap start ./libserver.so --entry main -- 8080
//     c++ -shared -fPIC -DVERSION=2 -o libserver_v2.so httplib.cpp $flags
//     liveswap upgrade ./libserver_v2.so                                        # curl http://127.0.0.1:8080/
//
// The flags matter: Debian's library was compiled with macros that change the types of its header. If
// cpp-httplib is installed as a header only, `flags=-pthread` suffices.
#include <httplib.h>

#include <cstdlib>
#include <iostream>
#include <string>

#ifndef VERSION
#define VERSION 1
#endif

int main(int argc, char** argv) {
  const int port = argc > 1 ? std::atoi(argv[1]) : 8080;
  httplib::Server server;
  server.new_task_queue = [] {
    return new httplib::ThreadPool(64);
  };                                           // a persistent connection occupies a thread
  server.set_keep_alive_max_count(1'000'000);  // the default of 5 would close connections early
  server.set_tcp_nodelay(true);
  server.Get("/", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("Hello from version " + std::to_string(VERSION) + ", cpp-httplib\n", "text/plain");
  });
  if (!server.listen("127.0.0.1", port)) {
    std::cerr << "cannot listen on port " << port << '\n';
    return 1;
  }
}
