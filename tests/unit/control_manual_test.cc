#include <gtest/gtest.h>

#include "base/text.hpp"
#include "config/option_table.hpp"
#include "control/command_table.hpp"
#include "control/manual.hpp"

namespace circus::control {
namespace {

std::string place(std::string_view part, std::string_view content = "") {
    return cat("<!-- table: ", part, " -->\n", content, "<!-- end of table -->\n");
}

TEST(Manual, ReplacesWhatStandsBetweenTheMarksAndNothingElse) {
    const std::string stale = cat("before\n", place("commands", "stale\n"), "after");
    const auto filled = fill_manual(stale);
    ASSERT_TRUE(filled);
    EXPECT_TRUE(filled->starts_with("before\n<!-- table: commands -->\n\n### add\n")) << *filled;
    EXPECT_TRUE(filled->ends_with("\n<!-- end of table -->\nafter"));
    EXPECT_EQ(filled->find("stale"), std::string::npos);
    EXPECT_EQ(*fill_manual(*filled), *filled);
}

TEST(Manual, HasEveryRowOfTheTables) {
    const std::string text =
        *fill_manual(cat(place("circus options"), place("watcher options"), place("socket options"),
                         place("commands"), place("commands of circusctl itself")));
    for (const auto* options :
         {&config::circus_options(), &config::watcher_options(), &config::socket_options()})
        for (const auto& option : *options)
            EXPECT_NE(text.find(cat("### ", option.name, "\n\n*")), std::string::npos) << option.name;
    for (const Command& command : commands())
        EXPECT_NE(text.find(cat("\ncircusctl ", usage(command), "\n")), std::string::npos) << command.name;
    for (const Command& command : own_commands())
        EXPECT_NE(text.find(cat("\ncircusctl ", usage(command), "\n")), std::string::npos) << command.name;
}

TEST(Manual, EveryPartCanBeWritten) {
    for (const auto part : manual_parts()) {
        const auto filled = fill_manual(place(part));
        ASSERT_TRUE(filled) << part;
        EXPECT_GT(filled->size(), place(part).size() + 20) << part;
        EXPECT_EQ(parts_of(*filled), std::vector<std::string>{std::string(part)});
    }
}

TEST(Manual, AMarkThatIsNobodysOrNotClosedIsAnErrorWithItsLine) {
    EXPECT_EQ(fill_manual("a\n" + place("comands")).error().text, "line 2: no table is called \"comands\"");
    EXPECT_EQ(fill_manual("<!-- table: commands -->\n").error().text,
              "line 1: no \"<!-- end of table -->\" behind \"<!-- table: commands -->\"");
}

}  // namespace
}  // namespace circus::control
