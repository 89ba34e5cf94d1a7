#include "accept.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string>

namespace metrics {

namespace {

std::string normalised(std::string_view text) {
    std::string out;
    for (const char c : text)
        if (c != ' ' && c != '\t') out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return out;
}

// The part of `text` up to `end`, which is taken off with it.
std::string_view cut(std::string_view& text, char end) {
    const auto at = text.find(end);
    const std::string_view part = text.substr(0, at);
    text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
    return part;
}

}  // namespace

Format format_for(std::string_view accept) {
    const std::string header = normalised(accept);
    double open = 0;
    double plain = 0;
    for (std::string_view rest = header; !rest.empty();) {
        std::string_view range = cut(rest, ',');
        const std::string_view type = cut(range, ';');
        double quality = 1;
        while (!range.empty())
            if (const std::string_view parameter = cut(range, ';'); parameter.starts_with("q="))
                quality = std::strtod(std::string(parameter.substr(2)).c_str(), nullptr);
        if (type == "application/openmetrics-text")
            open = std::max(open, quality);
        else if (type == "text/plain")
            plain = std::max(plain, quality);
    }
    return open > 0 && open >= plain ? Format::OpenMetrics : Format::Text;
}

const char* content_type(Format format) {
    return format == Format::OpenMetrics ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                         : "text/plain; version=0.0.4; charset=utf-8";
}

}  // namespace metrics
