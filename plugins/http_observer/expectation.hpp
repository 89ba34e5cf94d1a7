// Expectation: which answers are good, by status and by a text that the body has to have. The body comes in
// pieces and is not kept: of what was read, only as much as the text's beginning could be.
#pragma once

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace http_observer {

// "200", "200-299", "200, 204, 301-303": nothing else, each of 100 to 599.
class StatusSet {
  public:
    static std::optional<StatusSet> parse(std::string_view text) {
        StatusSet set;
        while (true) {
            const auto comma = std::min(text.find(','), text.size());
            const std::string_view part = text.substr(0, comma);
            const auto dash = std::min(part.find('-'), part.size());
            const auto first = number(part.substr(0, dash));
            const auto last = dash == part.size() ? first : number(part.substr(dash + 1));
            if (!first || !last || *first > *last) return std::nullopt;
            set.ranges_.emplace_back(*first, *last);
            if (comma == text.size()) return set;
            text.remove_prefix(comma + 1);
        }
    }
    bool contains(long status) const {
        return std::any_of(ranges_.begin(), ranges_.end(), [&](const auto& range) {
            return status >= range.first && status <= range.second;
        });
    }

  private:
    static std::optional<int> number(std::string_view text) {
        while (text.starts_with(' ')) text.remove_prefix(1);
        while (text.ends_with(' ')) text.remove_suffix(1);
        int value = 0;
        const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
        const bool valid = failed == std::errc() && end == text.data() + text.size();
        return valid && value >= 100 && value <= 599 ? std::optional(value) : std::nullopt;
    }
    std::vector<std::pair<int, int>> ranges_;
};

class TextSearch {
  public:
    explicit TextSearch(std::string text) : text_(std::move(text)), found_(text_.empty()) {}

    void restart() {
        found_ = text_.empty();
        tail_.clear();
    }
    void read(std::string_view piece) {
        if (found_) return;
        tail_.append(piece);
        found_ = tail_.find(text_) != std::string::npos;
        if (tail_.size() >= text_.size()) tail_.erase(0, tail_.size() - text_.size() + 1);
    }
    bool is_found() const { return found_; }
    const std::string& text() const { return text_; }

  private:
    std::string text_;
    std::string tail_;
    bool found_;
};

}  // namespace http_observer
