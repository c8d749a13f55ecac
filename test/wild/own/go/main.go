// A server on Go's net/http, whose runtime calls the kernel without libc.
package main

import "C"

import (
	"io"
	"net"
	"net/http"
	"os"
)

//export liveswap_main
func liveswap_main(fd C.int) C.int {
	arguments := os.Args
	listener, err := net.Listen("tcp", "127.0.0.1:"+arguments[len(arguments)-1])
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		return 1
	}
	http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "It works.\n")
	}))
	return 1
}

func main() {}
