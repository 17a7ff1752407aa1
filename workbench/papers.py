"""Where formulas come from. What is declared without one of these is our own."""

AHMADIAN_2024 = ("Ahmadian et al. 2024, Back to Basics: Revisiting REINFORCE Style Optimization "
                 "for Learning from Human Feedback in LLMs, arXiv:2402.14740")
AZAR_2023 = ("Azar et al. 2023, A General Theoretical Paradigm to Understand Learning from Human "
             "Preferences (IPO), arXiv:2310.12036")
BEIRAMI_2024 = ("Beirami et al. 2024, Theoretical Guarantees on the Best-of-n Alignment Policy, "
                "arXiv:2401.01879")
BRADLEY_1952 = ("Bradley and Terry 1952, Rank Analysis of Incomplete Block Designs: I. The Method "
                "of Paired Comparisons, Biometrika 39")
BRIER_1950 = ("Brier 1950, Verification of Forecasts Expressed in Terms of Probability, Monthly "
              "Weather Review 78")
CHEN_2016 = "Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost, arXiv:1604.06174"
CHOWDHURY_2024 = ("Chowdhury et al. 2024, Provably Robust DPO: Aligning Language Models with Noisy "
                  "Feedback, arXiv:2403.00409")
DETTMERS_2022 = ("Dettmers et al. 2022, 8-bit Optimizers via Block-wise Quantization, "
                 "arXiv:2110.02861")
EISENSTEIN_2023 = ("Eisenstein et al. 2023, Helping or Herding? Reward Model Ensembles Mitigate "
                   "but do not Eliminate Reward Hacking, arXiv:2312.09244")
ETHAYARAJH_2024 = ("Ethayarajh et al. 2024, KTO: Model Alignment as Prospect Theoretic "
                   "Optimization, arXiv:2402.01306")
GAO_2022 = "Gao et al. 2022, Scaling Laws for Reward Model Overoptimization, arXiv:2210.10760"
HU_2021 = "Hu et al. 2021, LoRA: Low-Rank Adaptation of Large Language Models, arXiv:2106.09685"
HU_2025 = ("Hu 2025, REINFORCE++: A Simple and Efficient Approach for Aligning Large Language "
           "Models, arXiv:2501.03262")
HUANG_2024 = ("Huang et al. 2024, The N+ Implementation Details of RLHF with PPO: A Case Study on "
              "TL;DR Summarization, arXiv:2403.17031")
KOSTRIKOV_2021 = ("Kostrikov et al. 2021, Offline Reinforcement Learning with Implicit Q-Learning, "
                  "arXiv:2110.06169")
KUMAR_2020 = ("Kumar et al. 2020, Conservative Q-Learning for Offline Reinforcement Learning, "
              "arXiv:2006.04779")
LI_2016 = ("Li et al. 2016, A Diversity-Promoting Objective Function for Neural Conversation "
           "Models, arXiv:1510.03055")
LIU_2025 = ("Liu et al. 2025, Understanding R1-Zero-Like Training: A Critical Perspective, "
            "arXiv:2503.20783")
LOSHCHILOV_2019 = ("Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization (AdamW), "
                   "arXiv:1711.05101")
OUYANG_2022 = ("Ouyang et al. 2022, Training language models to follow instructions with human "
               "feedback, arXiv:2203.02155")
PANG_2024 = ("Pang et al. 2024, Iterative Reasoning Preference Optimization, "
             "arXiv:2404.19733")
PASCANU_2013 = ("Pascanu et al. 2013, On the difficulty of training Recurrent Neural Networks, "
                "arXiv:1211.5063")
RAFAILOV_2023 = ("Rafailov et al. 2023, Direct Preference Optimization: Your Language Model is "
                 "Secretly a Reward Model, arXiv:2305.18290")
SCHULMAN_2016 = ("Schulman et al. 2016, High-Dimensional Continuous Control Using Generalized "
                 "Advantage Estimation, arXiv:1506.02438")
SCHULMAN_2017 = ("Schulman et al. 2017, Proximal Policy Optimization Algorithms, "
                 "arXiv:1707.06347")
SCHULMAN_2020 = "Schulman 2020, Approximating KL Divergence, joschu.net/blog/kl-approx.html"
SHAO_2024 = ("Shao et al. 2024, DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open "
             "Language Models, arXiv:2402.03300")
SNELL_2022 = ("Snell et al. 2022, Offline RL for Natural Language Generation with Implicit "
              "Language Q Learning, arXiv:2206.11871")
SINGHAL_2023 = ("Singhal et al. 2023, A Long Way to Go: Investigating Length Correlations in RLHF, "
                "arXiv:2310.03716")
TOUVRON_2023 = ("Touvron et al. 2023, Llama 2: Open Foundation and Fine-Tuned Chat Models, "
                "arXiv:2307.09288")
WELLECK_2020 = ("Welleck et al. 2020, Neural Text Generation with Unlikelihood Training, "
                "arXiv:1908.04319")
YE_2020 = ("Ye et al. 2020, Mastering Complex Control in MOBA Games with Deep Reinforcement "
           "Learning, arXiv:1912.09729")
YU_2025 = ("Yu et al. 2025, DAPO: An Open-Source LLM Reinforcement Learning System at Scale, "
           "arXiv:2503.14476")
YUAN_2025 = ("Yuan et al. 2025, What's Behind PPO's Collapse in Long-CoT? Value Optimization Holds "
             "the Secret, arXiv:2503.01491")
ZHAO_2023 = ("Zhao et al. 2023, SLiC-HF: Sequence Likelihood Calibration with Human Feedback, "
             "arXiv:2305.10425")
ZHENG_2025 = "Zheng et al. 2025, Group Sequence Policy Optimization, arXiv:2507.18071"
ZIEGLER_2019 = ("Ziegler et al. 2019, Fine-Tuning Language Models from Human Preferences, "
                "arXiv:1909.08593")
