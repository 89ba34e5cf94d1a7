#include "convert/supervisor_text.hpp"

#include <cctype>

#include "base/text.hpp"

namespace circus::convert {
namespace {

// "02d" of a number: width and padding; nullopt: no such format, or no number.
std::optional<std::string> formatted(const std::string& value, std::string_view format) {
    const char kind = format.back();
    const std::string_view width_text = format.substr(0, format.size() - 1);
    if (kind == 's' && width_text.empty()) return value;
    if (kind != 'd' && kind != 's') return std::nullopt;
    const auto number = parse_int(value);
    if (kind == 'd' && !number && !value.starts_with("$(")) return std::nullopt;
    const auto width = width_text.empty() ? std::optional<long long>(0) : parse_int(width_text);
    if (!width || *width < 0 || *width > 100) return std::nullopt;
    if (!number) return value;  // the number of a process that is known only when it runs
    const size_t wanted = static_cast<size_t>(*width);
    const std::string padding(value.size() < wanted ? wanted - value.size() : 0,
                              width_text.starts_with('0') ? '0' : ' ');
    return padding + value;
}

// The words and signs of environment=: as Python's shlex in its default mode, with / . @ : and so on as
// letters.
class Words {
  public:
    explicit Words(std::string_view text) : text_(text) {}

    // "=" and "," are words of their own; empty at the end.
    Result<std::string> next(bool& quoted) {
        quoted = false;
        while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
        if (at_ == text_.size()) return std::string();
        if (text_[at_] == '=' || text_[at_] == ',') return std::string(1, text_[at_++]);
        std::string word;
        while (at_ < text_.size() && !std::isspace(static_cast<unsigned char>(text_[at_])) &&
               text_[at_] != ',' && text_[at_] != '=') {
            const char c = text_[at_];
            if (c != '"' && c != '\'') {
                word += text_[at_++];
                continue;
            }
            const size_t end = text_.find(c, at_ + 1);
            if (end == std::string_view::npos) return Error{cat("no closing ", c)};
            word += text_.substr(at_ + 1, end - at_ - 1);
            at_ = end + 1;
            quoted = true;
        }
        return word;
    }

  private:
    std::string_view text_;
    size_t at_ = 0;
};

}  // namespace

Result<std::string> expand(std::string_view text, const Names& names) {
    std::string out;
    for (size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            out += text[at];
            continue;
        }
        const std::string_view rest = text.substr(at);
        if (rest.starts_with("%%")) {
            out += '%';
            ++at;
            continue;
        }
        const size_t close = rest.find(')');
        if (!rest.starts_with("%(") || close == std::string_view::npos)
            return Error{"a % that is no %(name)s; write %% for a percent sign"};
        const size_t end = rest.find_first_not_of("0123456789", close + 1);
        if (end == std::string_view::npos) return Error{cat(rest, " has no format; write %(name)s")};
        const std::string name(rest.substr(2, close - 2));
        const auto value = names(name);
        if (!value) return Error{cat("%(", name, ")s: supervisord knows no such name here")};
        const auto shown = formatted(*value, rest.substr(close + 1, end - close));
        if (!shown) return Error{cat(rest.substr(0, end + 1), ": the value is not of this format")};
        out += *shown;
        at += end;
    }
    return out;
}

bool names_process(std::string_view text) {
    return text.find("%(process_num)") != std::string_view::npos;
}

Result<std::vector<std::pair<std::string, std::string>>> parse_environment(std::string_view text) {
    std::vector<std::pair<std::string, std::string>> variables;
    Words words(text);
    bool quoted = false;
    while (true) {
        auto name = words.next(quoted);
        if (!name) return name.error();
        if (name->empty()) return variables;
        if (*name == ",") continue;
        const auto sign = words.next(quoted);
        if (!sign) return sign.error();
        if (*sign != "=")
            return Error{cat("no \"=\" behind ", *name, "; write NAME=\"value\",NAME=\"value\"")};
        auto value = words.next(quoted);
        if (!value) return value.error();
        if (!quoted && (*value == "," || *value == "=")) return Error{cat("no value behind ", *name, "=")};
        variables.emplace_back(std::move(*name), std::move(*value));
    }
}

std::optional<long long> parse_size(std::string_view text) {
    std::string word = to_lower(trim(text));
    long long unit = 1;
    if (word.ends_with("kb")) unit = 1LL << 10;
    if (word.ends_with("mb")) unit = 1LL << 20;
    if (word.ends_with("gb")) unit = 1LL << 30;
    if (unit > 1) word.resize(word.size() - 2);
    const auto number = parse_int(trim(word));
    if (!number || *number < 0 || *number > (1LL << 40)) return std::nullopt;
    return *number * unit;
}

}  // namespace circus::convert
