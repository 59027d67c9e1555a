package builtins

// allGroups lists the tables of overloads; each is made by the file of its subject.
func allGroups() [][]Overload {
	return [][]Overload{
		comparisonOps(), intOps(), floatOps(), numericOps(), dateOps(), stringOps(),
		mathFuncs(), stringFuncs(), encodingFuncs(), regexFuncs(), dateFuncs(), overlapsFuncs(), ginFuncs(),
		jsonOps(), jsonFuncs(), arrayFuncs(), systemFuncs(), sequenceFuncs(), outcomeFuncs(), asOfFuncs(), notifyFuncs(), jobFuncs(), signalFuncs(), expandArrayFuncs(), keywordFuncs(), checkFuncs(),
		aggregates(), bitAggregates(), jsonEdits(), seriesFuncs(), rowIDFuncs(), psqlFuncs(), enumFuncs(), advisoryFuncs(),
		shapeFuncs(), nameFuncs(), numberFormats(), dateParseFuncs(), regexFinds(), degreeFuncs(), byteFuncs(),
		regressionAggs(), jsonObjects(), jsonDeletes(), orderedSets(), rareFuncs(), jsonPathFuncs(), cryptoFuncs(), statementFuncs(), inetFuncs(), macFuncs(), timeTZFuncs(), bitFuncs(), populateFuncs(), serverFuncs(), rangeFuncs(),
	}
}
