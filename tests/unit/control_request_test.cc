#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "control/request.hpp"

namespace circus::control {
namespace {

constexpr double kNow = 1700000000.5;

Json answer_to(const std::string& bytes) {
    const Parsed parsed = parse_request(bytes, kNow);
    EXPECT_FALSE(parsed.request.has_value()) << bytes.substr(0, 80);
    return Json::parse(parsed.answer, nullptr, false);
}

Json error(int number, const std::string& reason, const Json& id) {
    return {{"status", "error"}, {"reason", reason}, {"tb", nullptr},
            {"time", kNow},      {"errno", number},  {"id", id}};
}

TEST(ControlRequest, ReadsEveryMemberOfTheEnvelope) {
    const auto parsed = parse_request(
        R"( {"id": "x1", "command": "LIST", "properties": {"name": "web"}, "msg_type": "cast", "more": 1} )",
        kNow);
    ASSERT_TRUE(parsed.request);
    EXPECT_EQ(parsed.request->id, "\"x1\"");
    EXPECT_EQ(parsed.request->command, "LIST");
    EXPECT_EQ(*parsed.request->properties, Json({{"name", "web"}}));
    EXPECT_TRUE(parsed.request->cast);
}

TEST(ControlRequest, MissingMembersHaveTheirDefaults) {
    for (const char* text : {R"({"command":"list"})", R"({"command":"list","properties":null,"id":null})"}) {
        const auto parsed = parse_request(text, kNow);
        ASSERT_TRUE(parsed.request) << text;
        EXPECT_EQ(parsed.request->id, "null");
        EXPECT_EQ(*parsed.request->properties, Json::object());
        EXPECT_FALSE(parsed.request->cast);
    }
}

TEST(ControlRequest, TheIdIsEchoedByteForByte) {
    const std::vector<std::string> ids = {
        "7",    "-0.10",      "123456789012345678901234567890", "1.0e3",
        "true", R"("a\"b}")", R"({"a": [1, "]"], "b": {}})",    "[ 1 , 2 ]"};
    for (const auto& id : ids) {
        const auto parsed =
            parse_request(R"({"properties":{"id":1}, "id" : )" + id + R"( , "command":"list"})", kNow);
        ASSERT_TRUE(parsed.request) << id;
        EXPECT_EQ(parsed.request->id, id);
        EXPECT_TRUE(ok_answer(nullptr, kNow, parsed.request->id).ends_with(",\"id\":" + id + "}"));
    }
}

TEST(ControlRequest, OfTwoIdsTheLastOneCounts) {
    const auto parsed = parse_request(R"({"id":1,"command":"list","\u0069d":2})", kNow);
    ASSERT_TRUE(parsed.request);
    EXPECT_EQ(parsed.request->id, "2");
}

TEST(ControlRequest, BlankMessagesAreDropped) {
    for (const char* text : {"", " ", "\n\t \r\n"}) {
        const auto parsed = parse_request(text, kNow);
        EXPECT_FALSE(parsed.request);
        EXPECT_EQ(parsed.answer, "");
    }
}

TEST(ControlRequest, WhatIsNotJsonIsAnsweredWithNumberOne) {
    const std::vector<std::string> bad = {
        "nope",
        "{",
        R"({"command":"list"}x)",
        R"({"command":NaN})",
        R"({"command":"list","id":1e999})",
        "{\"command\":\"\xff\xfe\"}",
        R"({"command":"\ud800"})",
        std::string("{\"command\":\"a\0b\"}", 17),
        std::string(20000, '['),
        std::string(3'000'000, '['),
        R"({"command":)" + std::string(300, '[') + std::string(300, ']') + "}"};
    for (const auto& text : bad)
        EXPECT_EQ(answer_to(text), error(1, "json invalid", nullptr)) << text.substr(0, 40);
}

TEST(ControlRequest, JsonThatIsNoRequestIsAnsweredWithNumberThree) {
    for (const char* text : {"[]", "3", "\"x\"", "null", "true"})
        EXPECT_EQ(answer_to(text), error(3, "message invalid: not an object", nullptr)) << text;
    EXPECT_EQ(answer_to("{}"), error(3, "message invalid 'command' is missing", nullptr));
    EXPECT_EQ(answer_to(R"({"id":4,"command":5})"), error(3, "'command' isn't a string", 4));
    EXPECT_EQ(answer_to(R"({"id":4,"command":"list","properties":[]})"),
              error(3, "'properties' property should be an object", 4));
}

TEST(ControlRequest, ACastIsNotAnsweredEvenWhenItIsWrong) {
    const auto parsed = parse_request(R"({"msg_type":"cast","command":5})", kNow);
    EXPECT_FALSE(parsed.request);
    EXPECT_EQ(parsed.answer, "");
}

TEST(ControlRequest, NestingInsideTextsIsNoNesting) {
    const auto parsed = parse_request(R"({"command":"list","id":")" + std::string(500, '[') + "\"}", kNow);
    EXPECT_TRUE(parsed.request);
}

TEST(ControlRequest, ThreeMegabytesArriveWhole) {
    const std::string name(3'000'000, 'x');
    const auto parsed = parse_request(R"({"command":"status","properties":{"name":")" + name + "\"}}", kNow);
    ASSERT_TRUE(parsed.request);
    EXPECT_EQ((*parsed.request->properties)["name"].get<std::string>().size(), name.size());
}

TEST(ControlRequest, TimeIsAFloatEvenOnAFullSecond) {
    EXPECT_EQ(ok_answer(nullptr, 1700000000.0, "1"), R"({"status":"ok","time":1700000000.0,"id":1})");
}

TEST(ControlRequest, FieldsThatAreTextMakeTheSameAnswer) {
    for (const char* fields : {R"({"pids":[1,2]})", R"({"pids":[]})", "{}"})
        EXPECT_EQ(ok_answer_of(fields, kNow, "7"), ok_answer(Json::parse(fields), kNow, "7"));
}

TEST(ControlRequest, FieldsWinOverStatus) {
    EXPECT_EQ(Json::parse(ok_answer({{"status", "active"}}, kNow, "null")),
              Json({{"status", "active"}, {"time", kNow}, {"id", nullptr}}));
}

TEST(ControlRequest, BytesThatAreNoTextBecomeReplacementCharacters) {
    const std::string text = error_answer(Errno::Message, "program \xff not found", kNow, "null");
    EXPECT_EQ(Json::parse(text)["reason"], "program \xEF\xBF\xBD not found");
}

// Whatever comes: a request, one answer that is JSON, or nothing; never a crash.
void expect_sane(const std::string& bytes) {
    const Parsed parsed = parse_request(bytes, kNow);
    if (parsed.request) {
        EXPECT_TRUE(parsed.answer.empty());
        EXPECT_TRUE(Json::accept(parsed.request->id)) << bytes;
        EXPECT_TRUE(Json::accept(ok_answer(nullptr, kNow, parsed.request->id))) << bytes;
    } else if (!parsed.answer.empty()) {
        EXPECT_EQ(Json::parse(parsed.answer)["status"], "error");
    }
}

TEST(ControlRequest, RandomBytesNeverDoHarm) {
    std::mt19937 random(20240607);
    for (int round = 0; round < 20000; ++round) {
        std::string bytes(random() % 64, '\0');
        for (char& c : bytes) c = static_cast<char>(random());
        expect_sane(bytes);
    }
}

TEST(ControlRequest, MutatedRequestsNeverDoHarm) {
    const std::string good =
        R"({"id": {"a":[1,2.5e3,"x\\\"y"]}, "command":"set", "properties":{"name":"web","options":{"a":"\u00e9"}}})";
    const std::string alphabet = "{}[]\",:\\ 0e-.tfnu\n\x01\xc3";
    std::mt19937 random(7);
    for (int round = 0; round < 20000; ++round) {
        std::string bytes = good;
        for (unsigned n = random() % 4 + 1; n > 0; --n) {
            const std::size_t at = random() % bytes.size();
            switch (random() % 3) {
                case 0:
                    bytes[at] = alphabet[random() % alphabet.size()];
                    break;
                case 1:
                    bytes.erase(at, random() % 5 + 1);
                    break;
                default:
                    bytes.insert(at, 1, alphabet[random() % alphabet.size()]);
            }
            if (bytes.empty()) bytes = "{";
        }
        expect_sane(bytes);
    }
}

}  // namespace
}  // namespace circus::control
