# What test/bench/peers keeps of the report of liveswap-load, on whose clock the phase "during" began at the time
# $marked of the machine's clock. $orders: the upgrades, by that clock. Times are milliseconds after the order.
def phase($name): .phases[] | select(.name == $name);
def kept: {attempts, failures, classes, unfinished} + (.latency_us | {p50, p99, "p99.9", max});

. as $all | (phase("during").start_ms) as $start
| {$load, before: (phase("before") | kept), during: (phase("during") | kept),
   reasons: [.reasons[] | {class, reason, count}],
   orders: [$orders[] | . as $order | (($order.began - $marked) * 1000 + $start) as $at
     | {command_ms: (($order.ended - $order.began) * 1000),
        first_new_ms: ($all.versions[$order.version].first_ms - $at),
        last_old_ms: ($all.versions[$order.former].last_ms - $at)}]}
