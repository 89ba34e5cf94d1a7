#include "url.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace redis_observer {

namespace {

std::string unescaped(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        unsigned value = 0;
        const char* const from = text.data() + i + 1;
        if (i + 2 >= text.size() || std::from_chars(from, from + 2, value, 16).ptr != from + 2)
            throw std::invalid_argument("% is not followed by two hexadecimal digits");
        out += static_cast<char>(value);
        i += 2;
    }
    return out;
}

int number(std::string_view text, int most, const char* what) {
    int value = -1;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failed != std::errc() || end != text.data() + text.size() || value < 0 || value > most)
        throw std::invalid_argument("\"" + std::string(text) + "\" is no " + what);
    return value;
}

// Of a text such as "db=1".
void read_query(std::string_view query, Url& url) {
    if (query.empty()) return;
    if (!query.starts_with("db="))
        throw std::invalid_argument("\"" + std::string(query) + "\" is not known; db=NUMBER is");
    url.db = number(query.substr(3), 1'000'000, "number of a database");
}

void read_credentials(std::string_view text, Url& url) {
    const auto colon = text.find(':');
    url.user = unescaped(text.substr(0, colon));
    if (colon == text.npos) throw std::invalid_argument("a user without a password; write USER:PASSWORD@");
    url.password = unescaped(text.substr(colon + 1));
}

void read_host(std::string_view text, Url& url) {
    std::string_view port;
    if (text.starts_with('[')) {
        const auto end = text.find(']');
        if (end == text.npos) throw std::invalid_argument("[ without ]");
        url.host = text.substr(1, end - 1);
        port = text.substr(end + 1);
    } else {
        const auto colon = std::min(text.find(':'), text.size());
        if (colon > 0) url.host = unescaped(text.substr(0, colon));
        port = text.substr(colon);
    }
    if (port.empty()) return;
    if (port.front() != ':') throw std::invalid_argument("a port comes after the host");
    url.port = number(port.substr(1), 65535, "port");
}

}  // namespace

Url parse_url(std::string_view text) {
    Url url;
    const bool is_unix = text.starts_with("unix://");
    if (!is_unix && !text.starts_with("redis://"))
        throw std::invalid_argument("write redis://HOST:PORT/DB or unix:///PATH");
    text.remove_prefix(text.find("://") + 3);
    const auto question = std::min(text.find('?'), text.size());
    if (question < text.size()) read_query(text.substr(question + 1), url);
    text = text.substr(0, question);
    // A password may have an @ in it, a path may too: the last one before the path counts.
    const auto slash = std::min(text.find('/'), text.size());
    const auto at = text.substr(0, slash).rfind('@');
    if (at != text.npos) {
        read_credentials(text.substr(0, at), url);
        text.remove_prefix(at + 1);
    }
    const auto path = std::min(text.find('/'), text.size());
    if (is_unix) {
        if (path != 0 || text.size() < 2)
            throw std::invalid_argument("a path that begins with / is expected");
        url.path = unescaped(text);
        return url;
    }
    read_host(text.substr(0, path), url);
    if (path + 1 < text.size()) url.db = number(text.substr(path + 1), 1'000'000, "number of a database");
    return url;
}

}  // namespace redis_observer
