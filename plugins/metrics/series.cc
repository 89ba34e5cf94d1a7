#include "series.hpp"

#include <algorithm>
#include <cstdint>
#include <limits>

namespace metrics {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

void Series::begin() {
    families_.clear();
    at_.clear();
    for (auto& [key, counted] : counted_) counted.is_current = false;
}

ClientMetric& Series::add(const char* name, const char* help, MetricType type, const Labels& labels) {
    const auto [at, is_new] = at_.try_emplace(name, families_.size());
    if (is_new) families_.push_back({name, help, type, {}});
    ClientMetric& metric = families_[at->second].metric.emplace_back();
    for (const auto& [label, value] : labels) metric.label.push_back({label, value});
    return metric;
}

void Series::gauge(const char* name, const char* help, const Labels& labels, double value) {
    add(name, help, MetricType::Gauge, labels).gauge.value = value;
}

void Series::counter(const char* name, const char* help, const Labels& labels, double value, bool is_new) {
    std::string key = name;
    for (const auto& [label, text] : labels) (key += '\0') += text;
    Counted& counted = counted_[key];
    if (is_new) counted.before += std::exchange(counted.last, 0);
    counted.last = std::max(counted.last, value);
    counted.is_current = true;
    add(name, help, MetricType::Counter, labels).counter.value = counted.before + counted.last;
}

void Series::histogram(const char* name, const char* help, const std::vector<double>& bounds,
                       const std::vector<double>& counts, double sum) {
    auto& histogram = add(name, help, MetricType::Histogram, {}).histogram;
    double all = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        all += counts[i];
        const double bound = i < bounds.size() ? bounds[i] : std::numeric_limits<double>::infinity();
        histogram.bucket.push_back({static_cast<std::uint64_t>(all), bound});
    }
    histogram.sample_count = static_cast<std::uint64_t>(all);
    histogram.sample_sum = sum;
}

std::vector<MetricFamily> Series::end() {
    std::erase_if(counted_, [](const auto& each) { return !each.second.is_current; });
    return std::move(families_);
}

}  // namespace metrics
