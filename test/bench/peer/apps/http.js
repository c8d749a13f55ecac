// The application of PM2, of node's cluster and of liveswap with a script. test/bench/peers makes further versions of
// this file. When told to end, it accepts no more, and its kept connections end with their next answer or when idle.
const http = require('http');

const version = 'version-01';
const body = version + '\n';
const headers = { 'Content-Type': 'text/plain', 'Content-Length': body.length, 'X-Version': version };
const slowMs = 1000;

const server = http.createServer((request, response) => {
  const answer = () => response.writeHead(200, headers).end(body);
  if (request.url === '/slow') setTimeout(answer, slowMs);
  else answer();
});
server.keepAliveTimeout = 60000;
server.listen({ port: Number(process.env.PORT), host: '127.0.0.1', backlog: 511 }, () => {
  if (process.send) process.send('ready');
});

const end = () => server.close(() => process.exit(0));
process.on('SIGINT', end); // from PM2
process.on('SIGTERM', end);
