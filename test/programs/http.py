# An ordinary server of Python, with a thread for each connection. VERSION is replaced by the test.
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', str(len('VERSION')))
        self.end_headers()
        self.wfile.write(b'VERSION')
    def log_message(self, *words):
        pass

class Server(ThreadingHTTPServer):
    request_queue_size = 128

Server(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
