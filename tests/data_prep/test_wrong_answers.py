from data_prep.wrong_answers import NUM_CHOICES, choices_of, preferences_of

RECORDS = [
    {
        "messages": [{"role": "user", "content": f"What is {n}?"}, {"role": "assistant", "content": f"It is {n}."}],
        "source": "questions",
        "name": f"module.{n}",
    }
    for n in range(40)
]


def test_the_worse_answer_is_that_to_another_question():
    pairs = preferences_of(RECORDS)
    assert [pair["chosen"] for pair in pairs] == [f"It is {n}." for n in range(40)]
    assert all(pair["rejected"] != pair["chosen"] and len(pair["messages"]) == 1 for pair in pairs)
    assert sorted(pair["rejected"] for pair in pairs) == sorted(pair["chosen"] for pair in pairs)


def test_the_right_one_of_four_answers_stands_anywhere():
    questions = choices_of(RECORDS, seed=0)
    for record, question in zip(RECORDS, questions, strict=True):
        assert question["question"] == record["messages"][0]["content"]
        assert question["choices"][question["answer"]] == record["messages"][1]["content"]
        assert len(set(question["choices"])) == NUM_CHOICES
    assert {question["answer"] for question in questions} == set(range(NUM_CHOICES))


def test_few_questions_give_few_choices_and_a_single_one_none():
    assert [len(question["choices"]) for question in choices_of(RECORDS[:3], seed=0)] == [3, 3, 3]
    assert preferences_of(RECORDS[:1]) == choices_of(RECORDS[:1], seed=0) == []
