// SPDX-License-Identifier: MIT
// What a user of ioredis does, while the business process dies again and
// again.  node ioredis.mjs PORT
import assert from 'node:assert/strict';
import Redis from 'ioredis';

const port = Number(process.argv[2]);
const open = () => new Redis({ port, retryStrategy: null });
const client = open();
const other = open();
const crash = async () => { // a connection that kills twice is closed
  const killer = open();
  await assert.rejects(killer.debug('SEGFAULT'), /CRASHED/);
  killer.disconnect();
};

await client.flushall();
assert.equal(await client.set('a', '1', 'EX', 100), 'OK');
await crash();
assert.equal(await client.incr('a'), 2);
await client.hset('h', { field: 'value', number: 7 });
assert.deepEqual(await client.hgetall('h'), { field: 'value', number: '7' });
await client.rpush('l', 'x', 'y', 'z');
assert.deepEqual(await client.lrange('l', 0, -1), ['x', 'y', 'z']);
await client.zadd('z', 1.5, 'one', 2, 'two');
assert.deepEqual(await client.zrange('z', 0, -1, 'WITHSCORES'),
  ['one', '1.5', 'two', '2']);
assert.deepEqual(await client.multi().incr('n').get('n').exec(),
  [[null, 1], [null, '1']]);
assert.deepEqual(
  (await client.pipeline().set('p', 'q').get('p').exec()).map((r) => r[1]),
  ['OK', 'q']);

let found = 0;
for await (const some of client.scanStream({ count: 2 }))
  found += some.length;
assert.equal(found, 6);

const subscriber = open();
const heard = [];
subscriber.on('message', (channel, message) => heard.push(message));
subscriber.on('pmessage', (pattern, channel, message) => heard.push(message));
await subscriber.subscribe('news');
await subscriber.psubscribe('n*');
for (let i = 0; i < 5; i++) {
  await crash();
  assert.equal(await client.publish('news', `m${i}`), 2);
}
while (heard.length < 10)
  await new Promise((done) => setTimeout(done, 5));

const waits = other.blpop('queue', 10);
await crash();
await client.lpush('queue', 'work');
assert.deepEqual(await waits, ['queue', 'work']);

for (const one of [client, other, subscriber])
  one.disconnect();
console.log('all is well');
