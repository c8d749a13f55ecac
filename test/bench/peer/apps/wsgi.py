# The application of uWSGI and gunicorn. test/bench/peers makes further versions of this file.
import time

VERSION = 'version-01'
BODY = (VERSION + '\n').encode()
HEADERS = [('Content-Type', 'text/plain'), ('Content-Length', str(len(BODY))), ('X-Version', VERSION)]


def application(environ, start_response):
    if environ['PATH_INFO'] == '/slow':
        time.sleep(1)
    start_response('200 OK', HEADERS)
    return [BODY]
