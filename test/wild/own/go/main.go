// A server on Go's net/http. Go's runtime calls the kernel without libc. An ordinary program except for three
// lines.
package main

import "C"

import (
	"flag"
	"io"
	"log"
	"net/http"
)

//export liveswap_main
func liveswap_main(fd C.int) C.int {
	main()
	return 0
}

func main() {
	address := flag.String("listen", "", "where to listen")
	flag.Parse()
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "It works.\n")
	})
	log.Fatal(http.ListenAndServe(*address, nil))
}
