// Which of the two formats a scraper gets, by its header Accept.
#pragma once

#include <string_view>

namespace metrics {

enum class Format { Text, OpenMetrics };

// OpenMetrics for whoever asks for it and wants nothing else more; everybody reads the plain text.
Format format_for(std::string_view accept);
const char* content_type(Format format);

}  // namespace metrics
