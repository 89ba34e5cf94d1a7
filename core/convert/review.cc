#include <algorithm>
#include <optional>
#include <utility>

#include "base/text.hpp"
#include "config/verdict.hpp"
#include "convert/circus_plugins.hpp"
#include "convert/stack.hpp"

namespace circus::convert {
namespace {

using config::SectionKind;
using config::Verdict;

std::optional<SectionKind> kind_of(const Section& section) {
    if (section.kind() == "circus") return SectionKind::Circus;
    if (section.kind() == "watcher") return SectionKind::Watcher;
    if (section.kind() == "socket") return SectionKind::Socket;
    return std::nullopt;
}

// "stdout_stream" of "stdout_stream.class"; empty for an option that is no table.
std::string table_of(const std::string& key) {
    const size_t dot = key.find('.');
    return dot == std::string::npos ? std::string() : key.substr(0, dot);
}

void disable(Line& line) {
    line.kind = Line::Kind::Disabled;
}

// A table is judged as a whole: its class decides which other options it has.
void review_table(Stack& stack, Section& section, const std::string& table) {
    Json whole = Json::object();
    std::vector<Line>& lines = section.lines();
    const auto is_member = [&table](const Line& line) {
        return line.kind == Line::Kind::Option && table_of(line.key) == table;
    };
    for (const auto& line : lines)
        if (is_member(line)) whole[line.key.substr(table.size() + 1)] = line.value;
    const auto first = std::find_if(lines.begin(), lines.end(), is_member);
    const Verdict verdict = config::judge_option(*kind_of(section), section.title(), table, whole);
    if (verdict.what == Verdict::What::Wrong) stack.problem(first->at, verdict.text);
    if (verdict.what != Verdict::What::NotAvailable) return;
    std::string what = table;
    if (whole.contains("class")) what += cat(" with class ", whole["class"].dump());
    const Place at = first->at;
    const auto position = lines.insert(
        first, Line{Line::Kind::Comment,
                    {},
                    {},
                    cat(at.to_string(), ": ", what, ": this version of circusd does not have it yet"),
                    at});
    for (auto line = position + 1; line != lines.end(); ++line)
        if (is_member(*line)) disable(*line);
}

void review_option(Stack& stack, Section& section, size_t index) {
    Line& line = section.lines()[index];
    const Verdict verdict = config::judge_option(*kind_of(section), section.title(), line.key, line.value);
    if (verdict.what == Verdict::What::Wrong) stack.problem(line.at, verdict.text);
    if (verdict.what != Verdict::What::NotAvailable) return;
    disable(line);
    const Place at = line.at;
    section.lines().insert(
        section.lines().begin() + static_cast<std::ptrdiff_t>(index),
        {Line::Kind::Comment,
         {},
         {},
         cat(at.to_string(), ": ", line.key, ": this version of circusd does not have it yet"),
         at});
}

void review_section(Stack& stack, Section& section) {
    if (!kind_of(section) || section.disabled()) return;
    std::vector<std::string> tables;
    for (size_t i = 0; i < section.lines().size(); ++i) {
        const Line& line = section.lines()[i];
        if (line.kind != Line::Kind::Option) continue;
        const std::string table = table_of(line.key);
        if (table.empty()) {
            const size_t before = section.lines().size();
            review_option(stack, section, i);
            i += section.lines().size() - before;
        } else if (table != "env" && !find_circus_plugin_by_name(table) &&
                   std::find(tables.begin(), tables.end(), table) == tables.end()) {
            tables.push_back(table);
        }
    }
    for (const auto& table : tables) review_table(stack, section, table);
    if (section.kind() != "watcher") return;
    const Line* const cmd = section.find("cmd");
    if (!cmd || trim(cmd->value.get<std::string>()).empty())
        stack.problem(section.at(), cat(section.origin().empty() ? section.title() : section.origin(),
                                        " has no command to run"));
    else if (!section.has("shell"))
        if (const auto words = split_words(cmd->value.get<std::string>()); !words)
            stack.problem(cmd->at, cat("the command cannot be split into words: ", words.error().text));
}

void find_twins(Stack& stack) {
    for (auto section = stack.sections.begin(); section != stack.sections.end(); ++section) {
        if (section->kind() == "env") continue;
        const auto twin = std::find_if(stack.sections.begin(), section, [&](const Section& other) {
            return equals_ignoring_case(other.title(), section->title());
        });
        if (twin != section)
            stack.problem(section->at(), cat("[", section->title(), "] is already made of ",
                                             twin->at().to_string(), ": names are matched without case"));
    }
}

}  // namespace

void review(Stack& stack) {
    for (auto& section : stack.sections) review_section(stack, section);
    find_twins(stack);
}

}  // namespace circus::convert
