# From the answers in each step of time: the lowest 50 ms after the order, as a part of the median before, and how many
# milliseconds of the steady throughput the second after the order lost.
def median: sort | .[length / 2 | floor];

.step_ms as $step | .answers as $answers | (.marks[0] | floor) as $mark
| ($answers[($mark / 4 | floor):$mark] | median) as $steady
| [range($mark; [($answers | length) - 5, $mark + 1000 / $step] | min)
   | ($answers[.:. + 5] | add) / 5 / $steady] as $after
| {command_ms: ($command_s * 1000), rate: ($steady * 1000 / $step), lowest: ($after | min), failures: (.failures | add),
   lost_ms: ([$answers[$mark:$mark + 1000 / $step][] | (1 - . / $steady) * $step] | add)}
