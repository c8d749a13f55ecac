#pragma once

#include <nlohmann/json.hpp>

// An upgrade of two slots in which the second new worker crashed.
inline nlohmann::json reverted_receipt() {
  return nlohmann::json::parse(
      R"({"version":1,"number":2,"kind":"upgrade","outcome":"reverted","reason":"slot 1 crashed",
    "asked":{"by":"uid 1000, pid 42","value":"/srv/v2.so"},"started":"2026-11-22T23:17:58.042Z",
    "length_ms":3120,
    "from":{"path":"/srv/v1.so","id":"3fa9c1d2e0b100000","generation":1},
    "to":{"path":"/srv/v2.so","id":"ab12cd34ef5611111","generation":2},
    "plan":{"forks":2,"batch":1,"surge":"100%","canary":"1","bake_ms":30000,"probation_ms":10000,
    "flip":false},
    "phases":[{"phase":"preparing","at_ms":0,"length_ms":14},{"phase":"rolling","at_ms":14,"length_ms":8},
              {"phase":"reverting","at_ms":22,"length_ms":12},{"phase":"leaving","at_ms":34,
                "length_ms":3086}],
    "slots":[{"slot":0,"workers":[
      {"pid":101,"generation":1,"role":"old","spawned_ms":null,"ready_ms":null,"drain_ms":17,"gone_ms":25,
        "exit":"0",
       "end":"clean","connections":3,"drained":3,"killed":0,"lost":0},
      {"pid":201,"generation":2,"role":"new","spawned_ms":14,"ready_ms":17,"drain_ms":26,"gone_ms":3120,
        "exit":"SIGKILL",
       "end":"forced","connections":9,"drained":7,"killed":2,"lost":0},
      {"pid":301,"generation":1,"role":"back","spawned_ms":23,"ready_ms":26,"drain_ms":null,"gone_ms":null,
        "exit":null,
       "end":null,"connections":null,"drained":null,"killed":null,"lost":null}]},
     {"slot":1,"workers":[
      {"pid":102,"generation":1,"role":"old","spawned_ms":null,"ready_ms":null,"drain_ms":null,"gone_ms":null,
       "exit":null,"end":null,"connections":null,"drained":null,"killed":null,"lost":null},
      {"pid":202,"generation":2,"role":"new","spawned_ms":18,"ready_ms":20,"drain_ms":null,"gone_ms":22,
        "exit":"SIGSEGV",
       "end":"crashed","connections":null,"drained":null,"killed":0,"lost":4}]}],
    "queues":[{"listener":"http","peak_depth":2},{"listener":"admin","peak_depth":null}],"skew_ms":9,
    "probes":{"made":12,"failed":1},"requests":{"old":{"served":120,"failed":0},"new":{"served":5,
    "failed":1}}})");
}
