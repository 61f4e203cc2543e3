"""Publishes COUNT orders to a queue of its own, as a program that knows nothing of
Ackbox would: the mix is described in interop_test.go. What is not confirmed is
published again, the same bytes, after each lost connection."""
import gzip
import json
import os
import sys
import time
from decimal import Decimal

import pika
from pika.exceptions import AMQPChannelError, AMQPConnectionError

QUEUE, EXCHANGE, PREFIX = (os.environ[v] for v in ("QUEUE", "EXCHANGE", "PREFIX"))
COUNT = int(os.environ["COUNT"])
PACE = 0.003  # seconds between two messages: the broker is restarted meanwhile


def order(n):
    fails = -1 if n % 101 == 17 else 2 if n % 10 == 1 else 0
    body = json.dumps({"order": f"{PREFIX}-{n}", "fails": fails, "note": "grün"}).encode()
    p = pika.BasicProperties(delivery_mode=2, content_type="application/json", headers={})
    if n % 3 != 0:
        p.type = "order.paid"
    elif n % 2 == 0:
        p.headers["event"] = "order.paid"
    if n % 4 != 0:
        p.message_id = f"{PREFIX}-{n}"
    if n % 5 == 0:
        p.headers.update({
            "binary": b"\xff\x00\xfe", "nothing": None, "yes": True, "count": 42, "ratio": Decimal("0.5"),  # pika 1.2 has no floats
            "nested": {"tags": ["a", 1], "deeper": {"empty": None}},
        })
        p.priority = n % 4
    if n % 7 == 0:
        body = gzip.compress(body)
        p.content_encoding = "gzip"
    if n % 2 == 0:
        return EXCHANGE, f"{PREFIX}.order.paid", body, p
    return "", QUEUE, body, p


def declare(ch):
    ch.exchange_declare(EXCHANGE, "topic", durable=True)
    ch.exchange_declare(f"{QUEUE}.dlx", "fanout", durable=True)
    ch.queue_declare(f"{QUEUE}.dlq", durable=True)
    ch.queue_bind(f"{QUEUE}.dlq", f"{QUEUE}.dlx")
    ch.queue_declare(QUEUE, durable=True, arguments={
        "x-message-ttl": 86400000, "x-max-priority": 5, "x-dead-letter-exchange": f"{QUEUE}.dlx",
    })
    ch.queue_bind(QUEUE, EXCHANGE, f"{PREFIX}.#")


def say(**what):
    print(json.dumps(what), flush=True)


def main():
    todo = {n: order(n) for n in range(COUNT)}
    sent = connections = 0
    while todo:
        try:
            conn = pika.BlockingConnection(pika.URLParameters(os.environ["AMQP_URL"]))
            ch = conn.channel()
            ch.confirm_delivery()
            declare(ch)
            connections += 1
            if connections == 1:
                say(declared=True)
            for n in list(todo):
                exchange, key, body, properties = todo[n]
                sent += 1
                ch.basic_publish(exchange, key, body, properties, mandatory=True)  # waits for the confirm
                del todo[n]
                if (COUNT - len(todo)) % 100 == 0:
                    say(confirmed=COUNT - len(todo))
                time.sleep(PACE)
            conn.close()
        except (AMQPConnectionError, AMQPChannelError, OSError) as err:
            print(f"connection {connections}: {err!r}", file=sys.stderr, flush=True)
            time.sleep(0.2)
    say(published=COUNT, again=sent - COUNT, connections=connections)


main()
