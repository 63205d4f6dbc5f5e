"""Which exercises `class grade` marks by itself, and which a person marks, and why: one line a lesson."""

from course_utils import exercises
from course_utils.classroom.judge import Judge


def main() -> None:
    automatic, by_hand = 0, 0
    for lesson in exercises.lessons():
        judge = Judge(lesson)
        reasons = {number: judge.by_hand(number) for number in judge.exercises}
        hand = {number: reason for number, reason in reasons.items() if reason}
        rules = [
            number for number, exercise in judge.exercises.items() if exercise.rules and number not in hand
        ]
        print(f"{lesson:02}: {len(reasons) - len(hand)} automatic, {len(hand)} by hand", flush=True)
        if rules:
            print(f"    by hand where the code could blind what watches its rules: {', '.join(rules)}")
        for number, reason in hand.items():
            print(f"    {number} by hand: {reason}")
        automatic, by_hand = automatic + len(reasons) - len(hand), by_hand + len(hand)
    print(f"all lessons: {automatic} automatic, {by_hand} by hand")


if __name__ == "__main__":
    main()
