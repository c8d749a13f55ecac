// A word with liveswap for Node.js: copy this file beside your application. Without liveswap every function
// does nothing, so the application also runs by itself. The protocol: docs/reference/words.md.
//
//   const liveswap = require('./liveswap');
//   liveswap.deferReady();                       // before listen(): ready() says when, not the first listener
//   server.listen(8080, () => cache.load().then(liveswap.ready));
//   liveswap.on('draining', (leftMs) => …);      // this worker is to leave; -1: without a limit
//   liveswap.on('message', (text) => …);         // `liveswap message TEXT`
//   liveswap.served();                           // one request answered; served(true): it failed
//   liveswap.slot, liveswap.generation           // numbers; -1 without liveswap
//
// A listener of 'draining' or 'message' does not keep the process alive.
'use strict';
const { EventEmitter } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');

const SERVED_MS = 200; // how often the numbers of served() are sent

const liveswap = new EventEmitter();
const [descriptor, slot, generation] = (process.env.LIVESWAP_WORDS || '').split(' ').map(Number);
const isWorker = Number.isInteger(generation);
delete process.env.LIVESWAP_WORDS; // the descriptor is not for the processes that this one starts

let draining = false;
let holds = false; // until the listeners of 'draining' have run: a worker without connections gets SIGTERM soon
let served = 0;
let failed = 0;
let timer = null;

function say(word) {
  if (!isWorker) return;
  try {
    fs.writeSync(descriptor, `${word}\n`);
  } catch {
    // The worker host takes no more words: it is about to end.
  }
}

function sendServed() {
  timer = null;
  if (served > 0) say(`served ${served} ${failed}`);
  served = failed = 0;
}

liveswap.slot = isWorker ? slot : -1;
liveswap.generation = isWorker ? generation : -1;
liveswap.isWorker = isWorker;
liveswap.ready = () => say('ready');
liveswap.deferReady = () => say('defer');
liveswap.hold = () => say('hold'); // work that is no connection; the worker stays until release()
liveswap.release = () => say('release');
liveswap.isDraining = () => draining;
liveswap.served = (hasFailed = false) => {
  served += 1;
  if (hasFailed) failed += 1;
  if (isWorker && timer === null) timer = setTimeout(sendServed, SERVED_MS).unref();
};

// A listener that throws must not keep the other ones from running, nor the next word from being taken.
function tell(event, value) {
  for (const listener of liveswap.rawListeners(event)) {
    try {
      listener.call(liveswap, value);
    } catch (error) {
      process.nextTick(() => { throw error; });
    }
  }
}

// Lines "draining MS", and "message BYTES" with so many bytes behind it.
let buffer = Buffer.alloc(0);

function takeWord() {
  const end = buffer.indexOf(10);
  if (end < 0) return false;
  const [word, number] = buffer.toString('latin1', 0, end).split(' ');
  if (word === 'message') {
    const stop = end + 1 + Number(number);
    if (buffer.length < stop) return false;
    const text = buffer.toString('utf8', end + 1, stop);
    buffer = buffer.subarray(stop);
    tell('message', text);
    return true;
  }
  buffer = buffer.subarray(end + 1);
  if (word === 'draining') {
    draining = true;
    tell('draining', Number(number));
    if (holds) say('release');
    holds = false;
  }
  return true;
}

function listen() {
  const socket = new net.Socket({ fd: descriptor, readable: true, writable: false });
  socket.on('data', (bytes) => {
    buffer = Buffer.concat([buffer, bytes]);
    while (takeWord());
  });
  socket.on('error', () => {});
  socket.unref();
  process.on('exit', sendServed);
}

liveswap.on('newListener', (event) => {
  if (event === 'message') say('messages'); // before that the messages wait in the worker host
  if (event === 'draining' && !holds && !draining) {
    holds = true;
    say('hold');
  }
});
if (isWorker) listen();
module.exports = liveswap;
