// SPDX-License-Identifier: MIT
// What a user of node-redis does, over one connection and a subscriber, while
// the business process dies again and again.  node node_redis.mjs PORT PROTO
import assert from 'node:assert/strict';
import { createClient } from 'redis';

const [port, proto] = process.argv.slice(2).map(Number);
const open = async () => {
  const client = createClient({ socket: { port, reconnectStrategy: false },
    RESP: proto });
  client.on('error', (error) => { throw error; });
  return client.connect();
};
const client = await open();
const other = await open();
const crash = async () => { // a connection that kills twice is closed
  const killer = await open();
  await assert.rejects(killer.sendCommand(['DEBUG', 'SEGFAULT']), /CRASHED/);
  killer.destroy();
};

await client.flushAll();
assert.equal(await client.set('a', '1', { EX: 100 }), 'OK');
await crash();
assert.equal(await client.incr('a'), 2);
assert.ok(await client.ttl('a') > 90);
await client.hSet('h', { field: 'value', number: 7 });
assert.equal({ ...await client.hGetAll('h') }.number, '7');
await client.rPush('l', ['x', 'y', 'z']);
assert.deepEqual(await client.lRange('l', 0, -1), ['x', 'y', 'z']);
await client.sAdd('s', ['1', '2', '3']);
assert.equal(await client.sCard('s'), 3);
await client.zAdd('z', [{ score: 1.5, value: 'one' },
  { score: 2, value: 'two' }]);
assert.deepEqual(await client.zRangeWithScores('z', 0, -1),
  [{ value: 'one', score: 1.5 }, { value: 'two', score: 2 }]);
assert.deepEqual(await client.multi().incr('n').incr('n').get('n').exec(),
  [1, 2, '2']);

await client.watch('n');
await other.incr('n');
await assert.rejects(client.multi().incr('n').exec());

const keys = [];
for await (const some of client.scanIterator({ MATCH: '*', COUNT: 2 }))
  keys.push(...[some].flat());
assert.deepEqual(new Set(keys), new Set(['a', 'h', 'l', 's', 'z', 'n']));

const subscriber = await open();
const heard = [];
await subscriber.subscribe('news', (message) => heard.push(message));
await subscriber.pSubscribe('n*', (message) => heard.push(message));
for (let i = 0; i < 5; i++) {
  await crash();
  assert.equal(await client.publish('news', `m${i}`), 2);
}
while (heard.length < 10)
  await new Promise((done) => setTimeout(done, 5));
assert.deepEqual(heard.filter((_, i) => i % 2), ['m0', 'm1', 'm2', 'm3', 'm4']);

const waits = other.blPop('queue', 10);
await crash();
await client.lPush('queue', 'work');
assert.equal((await waits).element, 'work');

const replies = Array.from({ length: 500 }, () => client.incr('counter'));
await crash();
assert.deepEqual(await Promise.all(replies),
  Array.from({ length: 500 }, (_, i) => i + 1));
for (const one of [client, other, subscriber])
  one.destroy();
console.log('all is well');
