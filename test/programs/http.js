// An ordinary server of Node. VERSION is replaced by the test.
const http = require('http');
http.createServer((request, response) => response.end('VERSION')).listen(Number(process.argv[2]), '127.0.0.1');
