#include "openmetrics.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <ostream>
#include <prometheus/metric_family.h>
#include <string>
#include <string_view>

namespace metrics {

namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    std::array<char, 40> digits;
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    return {digits.data(), end};
}

// A bound is a label, so 1 and 1.0 would be two: OpenMetrics has the point.
std::string bound(double value) {
    if (std::isinf(value)) return "+Inf";
    std::array<char, 400> digits;
    const auto [end, error] =
        std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed);
    std::string text(digits.data(), end);
    return text.find('.') == std::string::npos ? text + ".0" : text;
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n')
            out += "\\n";
        else
            out += c;
    }
    return out;
}

std::string labels(const ClientMetric& metric, const std::string& le = {}) {
    std::string text;
    const auto add = [&text](std::string_view name, std::string_view value) {
        text += text.empty() ? "{" : ",";
        text += name;
        text += "=\"";
        text += escaped(value);
        text += '"';
    };
    for (const auto& label : metric.label) add(label.name, label.value);
    if (!le.empty()) add("le", le);
    return text.empty() ? text : text + "}";
}

void write_histogram(std::ostream& out, const std::string& name, const ClientMetric& metric) {
    for (const auto& bucket : metric.histogram.bucket)
        out << name << "_bucket" << labels(metric, bound(bucket.upper_bound)) << ' '
            << bucket.cumulative_count << '\n';
    out << name << "_count" << labels(metric) << ' ' << metric.histogram.sample_count << '\n';
    out << name << "_sum" << labels(metric) << ' ' << number(metric.histogram.sample_sum) << '\n';
}

void write_head(std::ostream& out, const std::string& name, const char* type, const std::string& help) {
    out << "# TYPE " << name << ' ' << type << '\n';
    for (const std::string_view unit : {"seconds", "bytes"})
        if (name.ends_with("_" + std::string(unit))) out << "# UNIT " << name << ' ' << unit << '\n';
    out << "# HELP " << name << ' ' << escaped(help) << '\n';
}

void write_counters(std::ostream& out, const MetricFamily& family) {
    constexpr std::string_view kSuffix = "_total";
    std::string name = family.name;
    if (name.ends_with(kSuffix)) name.resize(name.size() - kSuffix.size());
    write_head(out, name, "counter", family.help);
    for (const auto& metric : family.metric)
        out << name << kSuffix << labels(metric) << ' ' << number(metric.counter.value) << '\n';
}

}  // namespace

void OpenMetricsSerializer::Serialize(std::ostream& out, const std::vector<MetricFamily>& families) const {
    for (const MetricFamily& family : families) {
        if (family.type == MetricType::Counter) write_counters(out, family);
        if (family.type == MetricType::Gauge) {
            write_head(out, family.name, "gauge", family.help);
            for (const auto& metric : family.metric)
                out << family.name << labels(metric) << ' ' << number(metric.gauge.value) << '\n';
        }
        if (family.type == MetricType::Histogram) {
            write_head(out, family.name, "histogram", family.help);
            for (const auto& metric : family.metric) write_histogram(out, family.name, metric);
        }
    }
    out << "# EOF\n";
}

}  // namespace metrics
