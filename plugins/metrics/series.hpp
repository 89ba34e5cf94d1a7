// Series: the families of one page while it is made, and what their counters stood at before. A counter that
// is counted here never goes back: where its source begins anew (a plugin that was restarted) it goes on from
// where it was, and a source that lags (a process that is dead and not yet counted as such) is waited for.
#pragma once

#include <map>
#include <prometheus/metric_family.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace metrics {

using Labels = std::vector<std::pair<std::string, std::string>>;

class Series {
  public:
    void begin();
    void gauge(const char* name, const char* help, const Labels& labels, double value);
    // `is_new`: its source has begun anew since the last page.
    void counter(const char* name, const char* help, const Labels& labels, double value, bool is_new = false);
    // Classes with their upper bounds, in their order; of the last, which has none, the count alone.
    void histogram(const char* name, const char* help, const std::vector<double>& bounds,
                   const std::vector<double>& counts, double sum);
    // In the order in which they were first named. What was not counted this time is forgotten.
    std::vector<prometheus::MetricFamily> end();

  private:
    struct Counted {
        double before = 0;  // of sources that have ended
        double last = 0;    // of this one
        bool is_current = false;
    };
    prometheus::ClientMetric& add(const char* name, const char* help, prometheus::MetricType type,
                                  const Labels& labels);

    std::vector<prometheus::MetricFamily> families_;
    std::map<std::string_view, std::size_t> at_;  // by a family's name, which is a literal
    std::map<std::string, Counted> counted_;      // by name and labels
};

}  // namespace metrics
