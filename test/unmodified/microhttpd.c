/* libmicrohttpd, in the mode of FLAGS and POOL; main only waits. */
#include "http.h"

#include <microhttpd.h>

#ifndef POOL
#define POOL 0
#endif

static enum MHD_Result on_request(void* unused, struct MHD_Connection* connection, const char* url,
                                  const char* method, const char* version, const char* upload,
                                  size_t* upload_size, void** seen) {
  static int begun;
  (void)unused, (void)url, (void)method, (void)version, (void)upload;
  if (*seen == NULL) {
    *seen = &begun;
    return MHD_YES;
  }
  *upload_size = 0;
  struct MHD_Response* response =
      MHD_create_response_from_buffer(strlen(VERSION), VERSION, MHD_RESPMEM_PERSISTENT);
  const enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
  MHD_destroy_response(response);
  return result;
}

PROGRAM int main(int argc, char** argv) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[argc - 1]))};
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const struct MHD_OptionItem pool[] = {{POOL > 0 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, POOL, NULL},
                                        {MHD_OPTION_END, 0, NULL}};
  if (MHD_start_daemon(FLAGS, 0, NULL, NULL, on_request, NULL, MHD_OPTION_SOCK_ADDR,
                       (struct sockaddr*)&address, MHD_OPTION_ARRAY, pool, MHD_OPTION_END) == NULL)
    return 1;
  for (;;) pause();
}
