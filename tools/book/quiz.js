// Quizzes to click, out of what a lesson stores: a paragraph that is bold throughout (the question), then one
// <details> for each choice, whose reason begins with bold text if the choice is right. No word of any language
// is looked at. Without this script the <details> stay.
"use strict";

/** Whether `parent` begins with a <strong>, with no text before it. */
const beginsBold = (parent) => {
  const first = [...(parent?.childNodes ?? [])].find((node) => node.textContent.trim());
  return first?.nodeName === "STRONG";
};

const isQuestion = (element) =>
  element?.nodeName === "P" &&
  beginsBold(element) &&
  element.textContent.trim() === element.querySelector("strong").textContent.trim();

/** The <details> that follow a question without anything between them. */
const choicesOf = (question) => {
  const choices = [];
  let next = question.nextElementSibling;
  while (next?.nodeName === "DETAILS" && next.firstElementChild?.nodeName === "SUMMARY") {
    choices.push(next);
    next = next.nextElementSibling;
  }
  return choices;
};

const isRight = (choice) => beginsBold(choice.querySelector(":scope > p"));

const make = (name, className, ...children) => {
  const element = document.createElement(name);
  element.className = className;
  element.append(...children);
  return element;
};

function makeQuiz(question, choices, name) {
  const legend = make("legend", "quiz-question", ...question.childNodes);
  const quiz = make("fieldset", "quiz", legend);
  const status = make("div", "quiz-status");
  status.setAttribute("role", "status");

  choices.forEach((choice, number) => {
    const verdict = isRight(choice) ? "quiz-right" : "quiz-wrong";
    const summary = choice.firstElementChild;
    const radio = make("input", "");
    Object.assign(radio, { type: "radio", name, id: `${name}-${number + 1}` });
    const label = make("label", "", ...summary.childNodes);
    label.htmlFor = radio.id;
    summary.remove();
    const reason = make("div", "quiz-reason", ...choice.childNodes); // seen in print, and copied into the status
    const row = make("div", "quiz-choice", radio, label, reason);
    radio.addEventListener("change", () => {
      quiz.querySelectorAll(".quiz-choice").forEach((other) => other.classList.remove("quiz-right", "quiz-wrong"));
      row.classList.add(verdict);
      status.className = `quiz-status ${verdict}`;
      status.replaceChildren(...reason.cloneNode(true).childNodes);
    });
    quiz.append(row);
  });
  quiz.append(status);

  // Arrows only move, so that nobody reads on the way what the other choices would have said; Space chooses.
  const radios = [...quiz.querySelectorAll("input")];
  quiz.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    const here = radios.indexOf(event.target);
    if (here < 0) return;
    if (step) {
      event.preventDefault();
      radios[(here + step + radios.length) % radios.length].focus();
    } else if (event.key === "Enter") {
      event.preventDefault();
      radios[here].click();
    }
  });
  question.replaceWith(quiz);
  choices.forEach((choice) => choice.remove());
}

document.addEventListener("DOMContentLoaded", () => {
  [...document.querySelectorAll("article p")].filter(isQuestion).forEach((question, number) => {
    const choices = choicesOf(question);
    if (choices.length > 1 && choices.some(isRight)) makeQuiz(question, choices, `quiz-${number + 1}`);
  });
});
