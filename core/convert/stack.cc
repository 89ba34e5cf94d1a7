#include "convert/stack.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace circus::convert {
namespace {

std::string remark_text(const Place& at, std::string_view what, std::string_view advice) {
    return cat(at.to_string(), ": ", what, ": ", advice);
}

}  // namespace

Section::Section(std::string kind, std::string name, Place at, std::string origin)
    : kind_(std::move(kind)), name_(std::move(name)), at_(std::move(at)), origin_(std::move(origin)) {}

void Section::set(std::string_view key, Json value, const Place& at) {
    for (auto& line : lines_) {
        if (line.kind != Line::Kind::Option || line.key != key) continue;
        line.value = std::move(value);
        line.at = at;
        return;
    }
    lines_.push_back({Line::Kind::Option, std::string(key), std::move(value), {}, at});
}

void Section::remark(const Place& at, std::string_view what, std::string_view advice) {
    lines_.push_back({Line::Kind::Comment, {}, {}, remark_text(at, what, advice), at});
}

void Section::note(std::string text) {
    lines_.push_back({Line::Kind::Comment, {}, {}, std::move(text), at_});
}

const Line* Section::find(std::string_view key) const {
    const auto found = std::find_if(lines_.begin(), lines_.end(), [key](const Line& line) {
        return line.kind == Line::Kind::Option && line.key == key;
    });
    return found == lines_.end() ? nullptr : &*found;
}

std::string Section::title() const {
    return name_.empty() ? kind_ : cat(kind_, ".", toml_key(name_));
}

Section& Stack::only(const std::string& kind, const Place& at) {
    for (auto& section : sections)
        if (section.kind() == kind && section.name().empty()) return section;
    return add(kind, "", at, "");
}

Section& Stack::circus(const Place& at) {
    return only("circus", at);
}

Section& Stack::env(const Place& at) {
    return only("env", at);
}

Section& Stack::add(std::string kind, std::string name, const Place& at, std::string origin) {
    return sections.emplace_back(std::move(kind), std::move(name), at, std::move(origin));
}

void Stack::remark(const Place& at, std::string_view what, std::string_view advice) {
    note(remark_text(at, what, advice));
}

}  // namespace circus::convert
