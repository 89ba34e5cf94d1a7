#include "convert/ini.hpp"

#include <algorithm>
#include <cctype>
#include <optional>

#include "base/text.hpp"

namespace circus::convert {
namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\v' || c == '\f';
}

size_t indent_of(std::string_view line) {
    size_t at = 0;
    while (at < line.size() && is_blank(line[at])) ++at;
    return at;
}

// One file being read: `section_` and `option_` are what a continuing line belongs to.
class IniReader {
  public:
    IniReader(const std::string& file, IniDialect dialect, Ini& ini, Problems& problems)
        : file_(file), circus_(dialect == IniDialect::Circus), ini_(ini), problems_(problems) {}

    void run(std::string_view text) {
        for (const auto& line : split(text, '\n')) {
            ++number_;
            read(line);
        }
    }

  private:
    void read(const std::string& whole) {
        if (trim(whole).empty() || is_comment(whole)) return;
        std::string_view line = whole;
        if (!circus_) line = line.substr(0, comment_in(line));
        if (trim(line).empty()) return;
        if (continues(line)) {
            if (std::string* value = continued()) *value += cat("\n", trim(line));
            return;
        }
        indent_ = indent_of(line);
        line = trim(line);
        if (line.front() == '[' && line.find(']') != std::string_view::npos)
            return begin_section(line.substr(1, line.find(']') - 1));
        if (section_.empty()) return complain("stands before the first [section]");
        read_option(line);
    }

    bool is_comment(const std::string& line) const {
        const size_t at = circus_ ? 0 : indent_of(line);
        if (line[at] == '#' || line[at] == ';') return true;
        return circus_ && to_lower(line.substr(0, 3)) == "rem" && (line.size() == 3 || is_blank(line[3]));
    }

    // Where a comment begins behind a value; the line's length if none does.
    static size_t comment_in(std::string_view line) {
        for (size_t at = 1; at < line.size(); ++at)
            if ((line[at] == ';' || line[at] == '#') && is_blank(line[at - 1])) return at;
        return line.size();
    }

    bool continues(std::string_view line) const {
        if (section_.empty() || option_.empty()) return false;
        return circus_ ? is_blank(line.front()) : indent_of(line) > indent_;
    }

    void begin_section(std::string_view name) {
        section_ = name;
        option_.clear();
        if (!ini_.find(section_)) ini_.sections.push_back({section_, here(), {}});
    }

    void read_option(std::string_view line) {
        const size_t sign = line.find_first_of("=:");
        if (sign == std::string_view::npos || trim(line.substr(0, sign)).empty())
            return complain(cat("neither a [section] nor an option with \"=\": ", line));
        option_ = trim(line.substr(0, sign));
        if (!circus_) option_ = to_lower(option_);
        IniOption option{option_, value_of(trim(line.substr(sign + 1))), here()};
        if (IniOption* const known = find(option_)) {
            if (circus_)
                ini_.ignored.push_back(std::move(option));
            else
                *known = std::move(option);
            return;
        }
        section()->options.push_back(std::move(option));
    }

    std::string value_of(std::string_view text) const {
        if (!circus_) return std::string(text);
        // Only the first ; is looked at, and only if a blank stands before it.
        const size_t at = text.find(';');
        if (at != std::string_view::npos && at > 0 && is_blank(text[at - 1])) text = trim(text.substr(0, at));
        return text == "\"\"" ? std::string() : std::string(text);
    }

    IniSection* section() {
        const auto at = std::find_if(ini_.sections.begin(), ini_.sections.end(),
                                     [this](const IniSection& s) { return s.name == section_; });
        return at == ini_.sections.end() ? nullptr : &*at;
    }

    IniOption* find(const std::string& name) {
        auto& options = section()->options;
        const auto at = std::find_if(options.begin(), options.end(),
                                     [&name](const IniOption& option) { return option.name == name; });
        return at == options.end() ? nullptr : &*at;
    }

    std::string* continued() {
        IniOption* const option = find(option_);
        return option ? &option->value : nullptr;
    }

    Place here() const { return {file_, number_}; }
    void complain(std::string text) { problems_.push_back({here(), std::move(text)}); }

    const std::string& file_;
    const bool circus_;
    Ini& ini_;
    Problems& problems_;
    int number_ = 0;
    size_t indent_ = 0;
    std::string section_, option_;
};

}  // namespace

const IniOption* IniSection::find(std::string_view option) const {
    const auto found = std::find_if(options.begin(), options.end(),
                                    [option](const IniOption& o) { return o.name == option; });
    return found == options.end() ? nullptr : &*found;
}

const std::string* IniSection::value(std::string_view option) const {
    const IniOption* const given = find(option);
    return given ? &given->value : nullptr;
}

const IniSection* Ini::find(std::string_view name) const {
    const auto found = std::find_if(sections.begin(), sections.end(),
                                    [name](const IniSection& s) { return s.name == name; });
    return found == sections.end() ? nullptr : &*found;
}

void read_ini(const std::string& file, std::string_view text, IniDialect dialect, Ini& into,
              Problems& problems) {
    IniReader(file, dialect, into, problems).run(text);
}

}  // namespace circus::convert
