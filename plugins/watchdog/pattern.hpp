// Pattern: a regular expression with Python's named groups, as Circus's options have them, on std::regex.
//
// (?P<name>…) is understood everywhere a group may stand; so are (?:…), (?=…) and (?!…). What std::regex does
// not have (other (?…) forms) is an error that says so.
#pragma once

#include <map>
#include <regex>
#include <stdexcept>
#include <string>
#include <string_view>

namespace watchdog {

class Pattern {
  public:
    // Throws std::invalid_argument.
    explicit Pattern(std::string_view python, bool any_case = false) {
        const std::string translated = translate(python);
        try {
            auto flags = std::regex::ECMAScript | std::regex::optimize;
            if (any_case) flags |= std::regex::icase;
            regex_.assign(translated, flags);
        } catch (const std::regex_error& error) {
            throw std::invalid_argument(error.what());
        }
    }
    // As Python's re.match: from the beginning, not up to the end.
    bool matches(const std::string& text) const {
        return std::regex_search(text, regex_, std::regex_constants::match_continuous);
    }
    // The text of a named group; false: no match, or the group took no part in it.
    bool group(const std::string& text, const std::string& name, std::string& out) const {
        const auto index = groups_.find(name);
        std::smatch found;
        if (index == groups_.end() ||
            !std::regex_search(text, found, regex_, std::regex_constants::match_continuous) ||
            !found[index->second].matched)
            return false;
        out = found[index->second].str();
        return true;
    }
    bool has_group(const std::string& name) const { return groups_.contains(name); }

  private:
    std::string translate(std::string_view python) {
        std::string out;
        std::size_t groups = 0;
        bool in_class = false;
        for (std::size_t i = 0; i < python.size(); ++i) {
            const char c = python[i];
            out += c;
            if (c == '\\') {
                if (++i < python.size()) out += python[i];
            } else if (in_class) {
                in_class = c != ']';
            } else if (c == '[') {
                in_class = true;
                // A bracket that comes first is a member: [^]] .
                if (i + 1 < python.size() && python[i + 1] == '^') out += python[++i];
                if (i + 1 < python.size() && python[i + 1] == ']') (out += '\\') += python[++i];
            } else if (c == '(') {
                const std::string_view rest = python.substr(i + 1);
                if (!rest.starts_with('?')) {
                    ++groups;
                } else if (rest.starts_with("?P<")) {
                    const auto end = rest.find('>');
                    if (end == rest.npos || end == 3) throw std::invalid_argument("a group without a name");
                    if (!groups_.emplace(rest.substr(3, end - 3), ++groups).second)
                        throw std::invalid_argument("two groups of one name");
                    i += end + 1;
                } else if (!rest.starts_with("?:") && !rest.starts_with("?=") && !rest.starts_with("?!")) {
                    throw std::invalid_argument(
                        "\"(" + std::string(rest.substr(0, 3)) +
                        "\" is not known here; (?P<name>…), (?:…), (?=…) and (?!…) are");
                }
            }
        }
        return out;
    }

    std::map<std::string, std::size_t, std::less<>> groups_;
    std::regex regex_;
};

}  // namespace watchdog
