// The primary of node's cluster: cluster.js APPLICATION WORKERS. SIGHUP replaces one worker after the other by a new
// one, which loads the file as it then is.
const cluster = require('cluster');

cluster.setupPrimary({ exec: process.argv[2], args: [] });
for (let i = 0; i < Number(process.argv[3]); ++i) cluster.fork();

const replace = (olds) => {
  const old = olds.shift();
  if (!old) return;
  cluster.fork().once('listening', () => {
    old.process.kill('SIGTERM');
    replace(olds);
  });
};
process.on('SIGHUP', () => replace(Object.values(cluster.workers)));
