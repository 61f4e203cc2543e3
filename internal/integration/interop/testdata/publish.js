// Publishes COUNT orders to a queue of its own, as a program that knows nothing of
// Ackbox would: the mix is described in interop_test.go. What is not confirmed is
// published again, the same bytes, after each lost connection.
'use strict';
const amqp = require('amqplib');
const { gzipSync } = require('node:zlib');
const { setTimeout: sleep } = require('node:timers/promises');

const { AMQP_URL, QUEUE, EXCHANGE, PREFIX } = process.env;
const COUNT = Number(process.env.COUNT);
const PACE_MS = 4; // between two messages: the broker is restarted meanwhile

function order(n) {
  const always = n % 101 === 17;
  const fails = always ? -1 : n % 10 === 1 ? 2 : 0;
  let body = Buffer.from(JSON.stringify({ order: `${PREFIX}-${n}`, fails, note: 'grün' }));
  const options = { persistent: true, contentType: 'application/json', headers: {} };
  if (n % 3 !== 0) options.type = 'order.paid';
  else if (n % 2 === 0) options.headers.event = 'order.paid';
  if (n % 4 !== 0) options.messageId = `${PREFIX}-${n}`;
  if (n % 5 === 0) {
    Object.assign(options.headers, {
      binary: Buffer.from([0xff, 0x00, 0xfe]), nothing: null, yes: true, count: 42, ratio: 0.5,
      nested: { tags: ['a', 1], deeper: { empty: null } },
    });
    options.priority = n % 4;
  }
  if (n % 7 === 0) {
    body = gzipSync(body);
    options.contentEncoding = 'gzip';
  }
  return n % 2 === 0
    ? { exchange: EXCHANGE, key: `${PREFIX}.order.paid`, body, options }
    : { exchange: '', key: QUEUE, body, options };
}

async function declare(ch) {
  await ch.assertExchange(EXCHANGE, 'topic', { durable: true });
  await ch.assertExchange(`${QUEUE}.dlx`, 'fanout', { durable: true });
  await ch.assertQueue(`${QUEUE}.dlq`, { durable: true });
  await ch.bindQueue(`${QUEUE}.dlq`, `${QUEUE}.dlx`, '');
  await ch.assertQueue(QUEUE, {
    durable: true, messageTtl: 86400000, maxPriority: 5, deadLetterExchange: `${QUEUE}.dlx`,
  });
  await ch.bindQueue(QUEUE, EXCHANGE, `${PREFIX}.#`);
}

async function main() {
  const open = new Map(Array.from({ length: COUNT }, (_, n) => [n, order(n)]));
  let sent = 0, connections = 0;
  while (open.size > 0) {
    let conn;
    try {
      conn = await amqp.connect(AMQP_URL);
      let lost = null;
      conn.on('error', (err) => { lost = err; });
      conn.on('close', (err) => { lost = lost || err || new Error('closed'); });
      const ch = await conn.createConfirmChannel();
      ch.on('error', (err) => { lost = err; });
      await declare(ch);
      connections++;
      if (connections === 1) console.log(JSON.stringify({ declared: true }));
      for (const [n, m] of [...open]) {
        if (lost) throw lost;
        sent++;
        ch.publish(m.exchange, m.key, m.body, { mandatory: true, ...m.options }, (err) => {
          if (err) return;
          open.delete(n);
          if ((COUNT - open.size) % 100 === 0) console.log(JSON.stringify({ confirmed: COUNT - open.size }));
        });
        await sleep(PACE_MS);
      }
      // A connection that is lost answers every callback with an error.
      await ch.waitForConfirms().catch(() => {});
      await conn.close();
    } catch (err) {
      console.error(`connection ${connections}: ${err.message}`);
      if (conn) await Promise.resolve().then(() => conn.close()).catch(() => {});
      await sleep(200);
    }
  }
  console.log(JSON.stringify({ published: COUNT, again: sent - COUNT, connections }));
}

main().catch((err) => { console.error(err); process.exit(1); });
