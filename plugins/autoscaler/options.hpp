// The table of options: what circusd checks [plugin.NAME] and the table `autoscale` of a watcher by.
#pragma once

namespace autoscaler {

// "table": the option may stand in that table of a watcher, and is for it alone.
inline constexpr const char* kOptions = R"({
    "min": {"type": "integer", "default": 1, "min": 0, "max": 100000, "table": "autoscale",
            "doc": "never fewer workers; 0 only with on_demand: its next connection starts one"},
    "max": {"type": "integer", "default": 10, "min": 1, "max": 100000, "table": "autoscale",
            "doc": "never more workers"},
    "concurrency": {"type": "number", "default": 1, "min": 0.01, "table": "autoscale",
                    "doc": "requests that one worker handles at once"},
    "target": {"type": "number", "default": 0.7, "min": 0.01, "max": 1, "table": "autoscale",
               "doc": "how busy a worker should be"},
    "spare": {"type": "integer", "default": 0, "min": 0, "max": 100000, "table": "autoscale",
              "doc": "so many workers more than the load asks for"},
    "cpu_target": {"type": "number", "min": 0.1, "table": "autoscale",
                   "doc": "per cent of one core that a worker should use; not given: cpu does not matter"},
    "external": {"type": "string", "default": "", "table": "autoscale",
                 "doc": "a gauge of the watcher: how much work there is"},
    "external_target": {"type": "number", "min": 1e-9, "table": "autoscale",
                        "doc": "how much of it is for one worker"},
    "latency_target": {"type": "number", "min": 0.001, "table": "autoscale",
                       "doc": "ms; above it busy workers get more beside them"},
    "latency": {"type": "string", "default": "http_observer.latency_p95", "table": "autoscale",
                "doc": "the gauge of the watcher that has the latency"},
    "max_age": {"type": "number", "default": 90, "min": 0.1, "table": "autoscale",
                "doc": "seconds; an older gauge is a missing signal"},
    "memory_limit": {"type": ["integer", "string"], "table": "autoscale",
                     "doc": "bytes, or an amount as \"2G\", of all workers: none is started beyond it"},
    "down_window": {"type": "number", "default": 120, "min": 1, "max": 1800, "table": "autoscale",
                    "doc": "seconds; the fleet shrinks to what was wanted at most in them"},
    "boot_time": {"type": "number", "default": 3, "min": 0.1, "table": "autoscale",
                  "doc": "seconds that a worker takes until it serves; measured where the watcher has `ready`"},
    "drain": {"type": "number", "default": 30, "min": 0, "table": "autoscale",
              "doc": "seconds that a worker beyond max has to get through with its connections"},
    "dry_run": {"type": "boolean", "default": false, "table": "autoscale",
                "doc": "decide, explain, and change nothing"}
})";

}  // namespace autoscaler
