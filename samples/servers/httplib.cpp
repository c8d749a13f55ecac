// An ordinary HTTP server on cpp-httplib (blocking sockets, a pool of threads). Nothing in it knows of liveswap.
//
//     c++ -pthread -o server httplib.cpp -lcpp-httplib && ./server 8080         # the program, as ever
//     c++ -pthread -shared -fPIC -o libserver.so httplib.cpp -lcpp-httplib      # the same, as a library
//     liveswap start ./libserver.so --entry main -- 8080
//     c++ -pthread -shared -fPIC -DVERSION=2 -o libserver_v2.so httplib.cpp -lcpp-httplib
//     liveswap upgrade ./libserver_v2.so                                        # curl http://127.0.0.1:8080/
//
// Where cpp-httplib is only a header, leave -lcpp-httplib out.
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
  server.new_task_queue = [] { return new httplib::ThreadPool(64); };  // each kept connection occupies a thread
  server.set_keep_alive_max_count(1'000'000);                         // the library's 5 would end them soon
  server.set_tcp_nodelay(true);
  server.Get("/", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("Hello from version " + std::to_string(VERSION) + ", cpp-httplib\n", "text/plain");
  });
  if (!server.listen("127.0.0.1", port)) {
    std::cerr << "cannot listen on port " << port << '\n';
    return 1;
  }
}
