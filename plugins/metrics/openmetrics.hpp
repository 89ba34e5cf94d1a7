// OpenMetrics 1.0 of prometheus-cpp's families: its library of this version writes the text format 0.0.4
// only. What differs: a counter's family has its name without `_total`, units are told, and the end is.
#pragma once

#include <iosfwd>
#include <prometheus/serializer.h>
#include <vector>

namespace metrics {

class OpenMetricsSerializer final : public prometheus::Serializer {
  public:
    using Serializer::Serialize;
    // Gauges, counters and histograms; other kinds are not written.
    void Serialize(std::ostream& out, const std::vector<prometheus::MetricFamily>& families) const override;
};

}  // namespace metrics
